/* load.c: MQTT clients and their broker in one thread, so that one core can outrun a relay on another.
 *
 * It connects `--conns` clients to `--connect` and accepts, on `--listen`, the connections the relay makes
 * to its broker; where both are the same port there is no relay between. It speaks as much MQTT 3.1.1 as
 * it needs: CONNECT, CONNACK, PUBLISH at QoS 0 and 1, PUBACK, PINGREQ, PINGRESP, DISCONNECT.
 *
 *   pingpong  every client sends one PUBLISH and waits for the broker's; --rate paces it (added latency);
 *             with --qos 1 it waits for the PUBACK instead
 *   stream    every client sends PUBLISH frames back to back, the broker takes them
 *   churn     every client connects, waits for CONNACK, sends DISCONNECT, closes, and starts again
 *   idle      established connections that ping once per --keep-alive; holds until stdin ends
 *
 * It does not sleep where nothing is to be done, but asks again: its peer is a relay on the other core, which would pay
 * for waking this one with nearly every send, as no relay pays for peers on other machines. `idle_s` is how long it had
 * nothing to do. With --sleep 1 it sleeps, except where it keeps a pace; where it is idle it always does.
 *
 * One JSON object per line on stdout. Built and called by generator.py; knows nothing of which relay it meets.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FD = 1 << 16, BATCH = 512, CONNECTING_AT_ONCE = 256, MAX_SAMPLES = 1 << 22, MAX_CONNECT = 64, MAX_PIDS = 32, MAX_WINDOWS = 256, QUANTILES = 3 };
enum role { FREE, LISTENER, CLIENT, BROKER, STDIN };
enum state { DIALING, GREETING, READY };

struct conn {
    uint8_t role, state, waiting;
    uint32_t got;     /* bytes of the control packet under way */
    uint32_t want;    /* its size, once known (greeting only) */
    uint32_t offset;  /* stream: where in the pattern the next send starts */
    uint64_t sent_at; /* ns */
};

static struct conn conns[MAX_FD];
static int clients[MAX_FD], client_count; /* descriptors of established clients, in order */
static int epfd, listener;
static uint32_t next_name;
static struct sockaddr_in relay_addr, broker_addr;
static pid_t relay_pids[MAX_PIDS]; /* 0 ends them */
static const char *mode = "pingpong";
static int wanted = 50, frame_size = 100, keep_alive = 60, rate, mixed, qos, sleeps;
static double seconds = 2.0, warmup = 0.3, setup_limit = 30.0;
static int windows = 1; /* equal parts of `seconds`; quantiles are the medians of theirs */

static unsigned char *pattern;
static size_t pattern_size;
static unsigned char scratch[1 << 20];
static int ready_clients, ready_brokers, connecting;
static uint64_t done, bytes_taken, errors, skipped; /* skipped: due while their client still waited */
static uint64_t nothing_ns; /* in turns that had nothing to do */
static int measuring, running;
static uint32_t *samples;
static size_t sample_count;

static void fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "load: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, " (%s)\n", strerror(errno));
    va_end(args);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double own_cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double relay_cpu(void) {
    double sum = 0.0;
    for (pid_t *pid = relay_pids; *pid; pid++) {
        struct timespec t;
        clockid_t clock;
        if (clock_getcpuclockid(*pid, &clock) || clock_gettime(clock, &t)) fail("process %d of the relay is gone", (int)*pid);
        sum += (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    }
    return sum;
}

static void parse_pids(char *list) {
    int count = 0;
    for (char *word = strtok(list, ","); word && count < MAX_PIDS - 1; word = strtok(NULL, ",")) {
        if (atoi(word) > 0) relay_pids[count++] = atoi(word);
    }
}

static void watch(int fd, uint32_t what, int op) {
    struct epoll_event event = {.events = what, .data.fd = fd};
    if (epoll_ctl(epfd, op, fd, &event)) fail("epoll_ctl on %d", fd);
}

static void send_whole(int fd, const void *data, size_t size) {
    ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    if (sent == (ssize_t)size) return;
    if (measuring || running) errors++;
    if (sent >= 0 || errno == EAGAIN) fail("a peer does not take %zu bytes", size);
}

/* One PUBLISH of exactly `size` bytes, fixed header included. At QoS 1 its packet identifier is always 1, which
 * is free again by the time the next one is sent: there is one in flight. */
static void put_publish(unsigned char *p, size_t size) {
    static const char topic[] = "bench/topic";
    size_t room = size - 4 - (qos ? 2 : 0), taken = sizeof topic - 1 < room ? sizeof topic - 1 : room, left = size - 2;
    unsigned char *end = p + size;
    if (left > 127) left--;
    if (left > 16383) left--;
    if (left > 2097151) left--;
    *p++ = (unsigned char)(0x30 | qos << 1);
    do {
        *p++ = (unsigned char)((left & 127) | (left > 127 ? 128 : 0));
    } while (left >>= 7);
    *p++ = 0;
    *p++ = (unsigned char)taken;
    memcpy(p, topic, taken);
    p += taken;
    if (qos) {
        *p++ = 0;
        *p++ = 1;
    }
    memset(p, 'x', (size_t)(end - p));
}

/* The pattern: whole PUBLISH frames, about 64 KB of them, or one. Mixed: a quarter to seven quarters of the size. */
static void make_pattern(void) {
    size_t span = (size_t)frame_size * 3 / 2 + 1, size = (size_t)frame_size;
    pattern = malloc(65536 + (size_t)frame_size * 2);
    do {
        if (mixed) size = (size_t)frame_size / 4 + (size_t)rand() % span;
        if (size == 130 || size == 16387) size++; /* sizes no Remaining Length makes */
        put_publish(pattern + pattern_size, size);
        pattern_size += size;
    } while (pattern_size + size <= 65536);
}

static void send_connect(int fd) {
    unsigned char packet[MAX_CONNECT] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 2};
    packet[10] = (unsigned char)(keep_alive >> 8);
    packet[11] = (unsigned char)keep_alive;
    int size = snprintf((char *)packet + 14, sizeof packet - 14, "bench-%d-%08u", (int)getpid() % 100000, next_name++);
    packet[13] = (unsigned char)size;
    packet[1] = (unsigned char)(12 + size);
    send_whole(fd, packet, (size_t)size + 14);
}

static void open_client(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || fd >= MAX_FD) fail("no descriptor left");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    conns[fd] = (struct conn){.role = CLIENT, .state = DIALING};
    connecting++;
    if (connect(fd, (struct sockaddr *)&relay_addr, sizeof relay_addr) && errno != EINPROGRESS) fail("connect");
    watch(fd, EPOLLOUT, EPOLL_CTL_ADD);
}

static void finish_dial(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    if (error) fail("the relay cannot be reached");
    conns[fd].state = GREETING;
    watch(fd, EPOLLIN, EPOLL_CTL_MOD);
    send_connect(fd);
}

static void accept_all(void) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
        if (fd < 0 && errno == EAGAIN) return;
        if (fd < 0 || fd >= MAX_FD) fail("accept");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        conns[fd] = (struct conn){.role = BROKER, .state = GREETING};
        watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static void close_conn(int fd) {
    conns[fd].role = FREE;
    close(fd);
}

static int is(const char *name) { return !strcmp(mode, name); }

/* Reads what is there; 0 where nothing is, and ends the run where a peer that should stay went away. */
static size_t take(int fd) {
    ssize_t n = recv(fd, scratch, sizeof scratch, 0);
    if (n > 0) return (size_t)n;
    if (n < 0 && errno == EAGAIN) return 0;
    if (is("churn") && conns[fd].role == BROKER && conns[fd].state == READY) {
        done++;
        close_conn(fd);
        return 0;
    }
    fail("connection %d (%s, state %d) ended early: %s", fd, conns[fd].role == CLIENT ? "client" : "broker",
         conns[fd].state, n ? "error" : "end of file");
    return 0;
}

static void broker_greeting(int fd) {
    static const unsigned char connack[] = {0x20, 2, 0, 0};
    struct conn *c = &conns[fd];
    size_t n = take(fd);
    if (!n) return;
    if (!c->got && n > 1) c->want = 2u + scratch[1];
    c->got += (uint32_t)n;
    if (!c->want || c->got < c->want) return;
    c->got = 0;
    c->state = READY;
    ready_brokers++;
    send_whole(fd, connack, sizeof connack);
}

static void client_greeting(int fd) {
    static const unsigned char disconnect[] = {0xe0, 0};
    struct conn *c = &conns[fd];
    c->got += (uint32_t)take(fd);
    if (c->got < 4) return;
    c->got = 0;
    c->state = READY;
    connecting--;
    ready_clients++;
    if (!is("churn")) {
        clients[client_count++] = fd;
        return;
    }
    send_whole(fd, disconnect, sizeof disconnect);
    close_conn(fd);
    open_client();
}

static void keep_sample(uint64_t since) {
    uint64_t took = now_ns() - since;
    if (measuring && sample_count < MAX_SAMPLES) samples[sample_count++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
}

static void publish(int fd) {
    conns[fd].sent_at = now_ns();
    conns[fd].waiting = 1;
    send_whole(fd, pattern, (size_t)frame_size);
}

static void pingpong(int fd) {
    static const unsigned char puback[] = {0x40, 2, 0, 1};
    struct conn *c = &conns[fd];
    uint32_t size = qos && c->role == CLIENT ? sizeof puback : (uint32_t)frame_size;
    c->got += (uint32_t)take(fd);
    while (c->got >= size) {
        c->got -= size;
        if (c->role == BROKER) {
            if (qos) send_whole(fd, puback, sizeof puback);
            else send_whole(fd, pattern, (size_t)frame_size);
            continue;
        }
        keep_sample(c->sent_at);
        c->waiting = 0;
        done++;
        if (!rate) publish(fd);
    }
}

static void stream(int fd) {
    struct conn *c = &conns[fd];
    ssize_t n;
    if (c->role == BROKER) {
        n = recv(fd, NULL, 1 << 20, MSG_TRUNC); /* takes the bytes without copying them */
        if (n > 0) bytes_taken += (uint64_t)n;
        if (n == 0 || (n < 0 && errno != EAGAIN)) fail("the relay ended a stream");
        return;
    }
    n = send(fd, pattern + c->offset, pattern_size - c->offset, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) fail("the relay ended a stream");
    if (n > 0) c->offset = (uint32_t)((c->offset + (size_t)n) % pattern_size);
}

static void churn(int fd) {
    if (!take(fd) || conns[fd].role != BROKER) return;
    done++; /* DISCONNECT is here: a broker closes */
    close_conn(fd);
}

static void idle(int fd) {
    static const unsigned char pingresp[] = {0xd0, 0};
    struct conn *c = &conns[fd];
    c->got += (uint32_t)take(fd);
    for (; c->got >= 2; c->got -= 2) {
        if (c->role == BROKER) {
            send_whole(fd, pingresp, sizeof pingresp);
            continue;
        }
        keep_sample(c->sent_at);
        done++;
    }
}

static void serve(int fd) {
    struct conn *c = &conns[fd];
    if (c->role == FREE) return;
    if (c->role == LISTENER) accept_all();
    else if (c->role == STDIN) running = 0;
    else if (c->state == DIALING) finish_dial(fd);
    else if (c->state == GREETING && c->role == BROKER) broker_greeting(fd);
    else if (c->state == GREETING) client_greeting(fd);
    else if (is("pingpong")) pingpong(fd);
    else if (is("stream")) stream(fd);
    else if (is("churn")) churn(fd);
    else idle(fd);
}

/* Serves what there is; 0: there was nothing. */
static int turn(int timeout_ms) {
    static struct epoll_event events[BATCH];
    int count = epoll_wait(epfd, events, BATCH, timeout_ms);
    for (int i = 0; i < count; i++) serve(events[i].data.fd);
    return count > 0;
}

static void set_up(void) {
    int one = 1;
    epfd = epoll_create1(EPOLL_CLOEXEC);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&broker_addr, sizeof broker_addr) || listen(listener, 4096)) fail("listen");
    conns[listener].role = LISTENER;
    watch(listener, EPOLLIN, EPOLL_CTL_ADD);
}

static void connect_all(void) {
    uint64_t limit = now_ns() + (uint64_t)(setup_limit * 1e9);
    for (int opened = 0; ready_clients < wanted || ready_brokers < wanted;) {
        for (; opened < wanted && connecting < CONNECTING_AT_ONCE; opened++) open_client();
        turn(100);
        if (now_ns() > limit) fail("only %d of %d connections came up", ready_clients, wanted);
    }
}

/* Paced work between two turns: whatever is due by now, round robin over the clients. */
static uint64_t paced(uint64_t next, uint64_t step, uint64_t now) {
    static const unsigned char pingreq[] = {0xc0, 0};
    static int turn_of;
    for (; next <= now; next += step) {
        int fd = clients[turn_of = (turn_of + 1) % client_count];
        if (is("pingpong")) {
            if (!conns[fd].waiting) publish(fd);
            else if (measuring) skipped++;
        } else {
            conns[fd].sent_at = now;
            send_whole(fd, pingreq, sizeof pingreq);
        }
    }
    return next;
}

/* Milliseconds to sleep for where there is nothing to do: idle ones leave the core, a pace would suffer from it. */
static int longest_sleep(void) { return is("idle") ? 5 : sleeps && !rate ? 10 : 0; }

/* Runs for `duration` seconds, or until stdin ends. A turn takes one look at the clock, also to see how long nothing took. */
static void run_for(double duration) {
    uint64_t now = now_ns(), end = now + (uint64_t)(duration * 1e9), next = now;
    double per_second = is("idle") ? (double)wanted / keep_alive : rate;
    uint64_t step = per_second > 0 ? (uint64_t)(1e9 / per_second) : 0;
    int sleep_ms = longest_sleep();
    for (running = 1; running;) {
        uint64_t began = now, due = next;
        if (step) next = paced(next, step, now);
        int did = turn(sleep_ms) || next != due;
        now = now_ns();
        if (!did) nothing_ns += now - began;
        if (now >= end) running = 0;
    }
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static const double wanted_quantiles[QUANTILES] = {0.5, 0.99, 0.999};
static double quantiles_us[QUANTILES], longest_us;
static size_t ends[MAX_WINDOWS]; /* of the samples of each window */

/* The median over the windows, so that what stalls the whole machine for a moment spoils one of them and not the figure.
 * A window without samples counts as if nothing took any time. */
static void take_quantiles(void) {
    static uint32_t found[QUANTILES][MAX_WINDOWS]; /* ns */
    size_t from = 0;
    for (int w = 0; w < windows; from = ends[w++]) {
        size_t count = ends[w] - from;
        qsort(samples + from, count, sizeof *samples, ascending);
        for (int q = 0; q < QUANTILES && count; q++)
            found[q][w] = samples[from + (size_t)(wanted_quantiles[q] * (double)(count - 1))];
        if (count && samples[ends[w] - 1] / 1e3 > longest_us) longest_us = samples[ends[w] - 1] / 1e3;
    }
    for (int q = 0; q < QUANTILES; q++) {
        qsort(found[q], (size_t)windows, sizeof **found, ascending);
        quantiles_us[q] = ((double)found[q][(windows - 1) / 2] + found[q][windows / 2]) / 2e3;
    }
}

static void measure(void) {
    if (is("idle")) {
        struct conn *c = &conns[STDIN_FILENO];
        c->role = STDIN;
        watch(STDIN_FILENO, EPOLLIN, EPOLL_CTL_ADD);
        printf("{\"ready\":%d}\n", ready_clients);
        fflush(stdout);
    } else {
        run_for(warmup);
    }
    uint64_t done_before = done, bytes_before = bytes_taken, nothing_before = nothing_ns, start = now_ns();
    double own_before = own_cpu(), relay_before = relay_cpu();
    measuring = 1;
    for (int w = 0; w < windows; w++) {
        run_for(seconds / windows);
        ends[w] = sample_count;
    }
    measuring = 0;
    double took = (double)(now_ns() - start) / 1e9;
    double own = own_cpu() - own_before, relay = relay_cpu() - relay_before;
    /* A sleep that was ended by something to do is a turn that had it: then the core's time tells */
    double idle = longest_sleep() ? took - own : (double)(nothing_ns - nothing_before) / 1e9;
    take_quantiles();
    printf("{\"mode\":\"%s\",\"conns\":%d,\"seconds\":%.3f,\"done\":%llu,\"bytes\":%llu,"
           "\"generator_cpu_s\":%.3f,\"idle_s\":%.3f,\"relay_cpu_s\":%.4f,"
           "\"skipped\":%llu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f}\n",
           mode, wanted, took, (unsigned long long)(done - done_before), (unsigned long long)(bytes_taken - bytes_before), own,
           idle, relay, (unsigned long long)skipped, quantiles_us[0], quantiles_us[1], quantiles_us[2], longest_us);
    fflush(stdout);
}

static void start_work(void) {
    for (int i = 0; i < client_count; i++) {
        if (is("pingpong") && !rate) publish(clients[i]);
        if (is("stream")) watch(clients[i], EPOLLOUT, EPOLL_CTL_MOD);
    }
}

static struct sockaddr_in address(const char *text) {
    struct sockaddr_in addr = {.sin_family = AF_INET};
    char host[64];
    int port;
    if (sscanf(text, "%63[^:]:%d", host, &port) != 2 || !inet_aton(host, &addr.sin_addr)) fail("bad address %s", text);
    addr.sin_port = htons((uint16_t)port);
    return addr;
}

static void parse(int argc, char **argv) {
    static const struct option options[] = {
        {"connect", 1, 0, 'c'}, {"listen", 1, 0, 'l'},     {"mode", 1, 0, 'm'},       {"conns", 1, 0, 'n'},
        {"frame", 1, 0, 'f'},   {"seconds", 1, 0, 's'},    {"warmup", 1, 0, 'w'},     {"rate", 1, 0, 'r'},
        {"relay-pid", 1, 0, 'p'}, {"keep-alive", 1, 0, 'k'}, {"setup-limit", 1, 0, 't'},
        {"mixed", 1, 0, 'x'},   {"qos", 1, 0, 'q'},        {"windows", 1, 0, 'i'},    {"sleep", 1, 0, 'z'},
        {0, 0, 0, 0}};
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'c': relay_addr = address(optarg); break;
        case 'l': broker_addr = address(optarg); break;
        case 'm': mode = optarg; break;
        case 'n': wanted = atoi(optarg); break;
        case 'f': frame_size = atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'w': warmup = atof(optarg); break;
        case 'r': rate = atoi(optarg); break;
        case 'p': parse_pids(optarg); break;
        case 'k': keep_alive = atoi(optarg); break;
        case 't': setup_limit = atof(optarg); break;
        case 'x': mixed = atoi(optarg); break;
        case 'q': qos = atoi(optarg); break;
        case 'i': windows = atoi(optarg); break;
        case 'z': sleeps = atoi(optarg); break;
        default: exit(2);
        }
    }
    if (!relay_addr.sin_port || !broker_addr.sin_port || wanted < 1 || frame_size < 20 || keep_alive < 1 || qos < 0 || qos > 1 || windows < 1 || windows > MAX_WINDOWS) fail("bad options");
}

int main(int argc, char **argv) {
    parse(argc, argv);
    samples = malloc(MAX_SAMPLES * sizeof *samples);
    make_pattern();
    set_up();
    connect_all();
    start_work();
    measure();
    return errors ? 1 : 0;
}
