/* System calls in C: what syscalls.py and tcp_info.py say and do, without Python's way to each call.
 *
 * The sockets never block, so the GIL is kept: giving it up and taking it again costs more than a chunk's copy.
 * Who changes a function here changes its twin in Python; tests/relay/test_syscalls.py holds them together.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SMALL 65536 /* reads up to here go through one buffer, so that no memory is taken for what does not come */

static char buffer[SMALL];

static ssize_t receive_into(int source, char *into, size_t room)
{
    ssize_t got;
    do
        got = recv(source, into, room, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    return got;
}

/* At most `room` bytes as a bytes object, or NULL with the OSError set. */
static PyObject *read_chunk(int source, Py_ssize_t room)
{
    PyObject *data;
    ssize_t got;

    if (room <= SMALL) {
        got = receive_into(source, buffer, (size_t)room);
        return got < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyBytes_FromStringAndSize(buffer, got);
    }
    data = PyBytes_FromStringAndSize(NULL, room);
    if (data == NULL)
        return NULL;
    got = receive_into(source, PyBytes_AS_STRING(data), (size_t)room);
    if (got < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(data);
        return NULL;
    }
    if (got != room)
        _PyBytes_Resize(&data, got); /* sets data to NULL and raises where there is no memory */
    return data;
}

static int number(PyObject *from, int *into)
{
    long value = PyLong_AsLong(from);
    if (value == -1 && PyErr_Occurred())
        return -1;
    if (value != (int)value) {
        PyErr_SetString(PyExc_OverflowError, "a descriptor or a size is an int");
        return -1;
    }
    *into = (int)value;
    return 0;
}

/* A read's `room` out of its argument; -1 with the exception set where it is none. */
static int room_of(PyObject *argument, int *room)
{
    if (number(argument, room))
        return -1;
    if (*room < 1) {
        PyErr_SetString(PyExc_ValueError, "room has to be at least 1");
        return -1;
    }
    return 0;
}

static PyObject *receive(PyObject *module, PyObject *const *arguments, Py_ssize_t many)
{
    int source, room;

    if (many != 2) {
        PyErr_SetString(PyExc_TypeError, "receive(source, room)");
        return NULL;
    }
    if (number(arguments[0], &source) || room_of(arguments[1], &room))
        return NULL;
    return read_chunk(source, room);
}

static PyObject *transfer(PyObject *module, PyObject *const *arguments, Py_ssize_t many)
{
    int source, target, room, error;
    PyObject *data;
    ssize_t sent;

    if (many != 3) {
        PyErr_SetString(PyExc_TypeError, "transfer(source, target, room)");
        return NULL;
    }
    if (number(arguments[0], &source) || number(arguments[1], &target) || room_of(arguments[2], &room))
        return NULL;
    data = read_chunk(source, room);
    if (data == NULL || PyBytes_GET_SIZE(data) == 0)
        return data;
    do
        sent = send(target, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data), MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent == PyBytes_GET_SIZE(data))
        return data;
    error = sent < 0 ? errno : 0;
    return Py_BuildValue("(Nni)", data, sent < 0 ? (Py_ssize_t)0 : (Py_ssize_t)sent, error);
}

/* Who called, in the words of socket.accept(): a host for IPv4 and IPv6, nothing for whatever else there may be. */
static const char *caller(const struct sockaddr_storage *from, char *host, int *port)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)from;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;

    if (from->ss_family == AF_INET) {
        *port = ntohs(four->sin_port);
        return inet_ntop(AF_INET, &four->sin_addr, host, INET6_ADDRSTRLEN);
    }
    *port = from->ss_family == AF_INET6 ? ntohs(six->sin6_port) : 0;
    return from->ss_family == AF_INET6 ? inet_ntop(AF_INET6, &six->sin6_addr, host, INET6_ADDRSTRLEN) : "";
}

static PyObject *accept_client(PyObject *module, PyObject *argument)
{
    struct sockaddr_storage from = {0};
    socklen_t size = sizeof from;
    char host[INET6_ADDRSTRLEN] = "";
    const char *who;
    int listener = PyObject_AsFileDescriptor(argument), accepted, port = 0;

    if (listener < 0)
        return NULL;
    do
        accepted = accept4(listener, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (accepted < 0 && errno == EINTR);
    if (accepted < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    who = caller(&from, host, &port);
    return Py_BuildValue("(isi)", accepted, who, port);
}

/* Where to, out of an address as getaddrinfo() gives it: host, port, and for IPv6 flow and scope; 0, or -1 and why not.
 * The host is a number, of IPv6 perhaps with %scope behind it, which is in the fourth place too. */
static int place(int family, PyObject *address, struct sockaddr_storage *to, socklen_t *size)
{
    struct sockaddr_in *four = (struct sockaddr_in *)to;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)to;
    char number_only[INET6_ADDRSTRLEN];
    const char *host;
    unsigned int port, flow = 0, scope = 0;
    size_t length;

    if (!PyArg_ParseTuple(address, "sI|II", &host, &port, &flow, &scope))
        return -1;
    length = strcspn(host, "%");
    if (length < sizeof number_only && port < 65536 && (family == AF_INET || family == AF_INET6)) {
        memcpy(number_only, host, length);
        number_only[length] = 0;
        to->ss_family = (sa_family_t)family;
        if (family == AF_INET6) {
            six->sin6_port = htons((uint16_t)port);
            six->sin6_flowinfo = htonl(flow);
            six->sin6_scope_id = scope;
            *size = sizeof *six;
        } else {
            four->sin_port = htons((uint16_t)port);
            *size = sizeof *four;
        }
        if (inet_pton(family, number_only, family == AF_INET6 ? (void *)&six->sin6_addr : (void *)&four->sin_addr) == 1)
            return 0;
    }
    PyErr_SetString(PyExc_ValueError, "an address is a host's number and a port");
    return -1;
}

static PyObject *dial(PyObject *module, PyObject *const *arguments, Py_ssize_t many)
{
    struct sockaddr_storage to = {0}, peer;
    socklen_t size, told = sizeof peer;
    int family, fd, on = 1, code = 0;

    if (many != 2 || !PyTuple_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "dial(family, address)");
        return NULL;
    }
    if (number(arguments[0], &family) || place(family, arguments[1], &to, &size))
        return NULL;
    fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        connect(fd, (struct sockaddr *)&to, size) < 0)
        code = errno;
    if (code == EINPROGRESS && getpeername(fd, (struct sockaddr *)&peer, &told) == 0)
        code = 0;
    if (code != 0 && code != EINPROGRESS) {
        close(fd);
        fd = -1;
    }
    return Py_BuildValue("(ii)", fd, code);
}

/* Where in struct tcp_info that stands which TcpInfo names, in its order, and how wide it is; as in tcp_info.py. */
static const struct { unsigned char at, wide; } FIELDS[] = {
    {0, 1}, {2, 1}, {4, 1}, {24, 4}, {52, 4}, {56, 4}, {68, 4}, {100, 4}, {144, 4}, {228, 4},
};
enum { MANY = sizeof FIELDS / sizeof *FIELDS, ASKED = 512 };

/* `kind`, a named tuple of as many fields, is made here: its own way to one would cost as much as the call. */
static PyObject *tcp_info(PyObject *module, PyObject *const *arguments, Py_ssize_t many)
{
    unsigned char raw[ASKED] = {0};
    socklen_t size = sizeof raw;
    PyTypeObject *kind;
    PyObject *told;
    uint32_t word;
    int fd;

    if (many != 2 || !PyType_Check(arguments[1]) || !PyType_IsSubtype((PyTypeObject *)arguments[1], &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "tcp_info(socket, class of tuples)");
        return NULL;
    }
    fd = PyObject_AsFileDescriptor(arguments[0]);
    if (fd < 0)
        return NULL;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, raw, &size) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    kind = (PyTypeObject *)arguments[1];
    told = kind->tp_alloc(kind, MANY);
    for (int i = 0; told != NULL && i < MANY; i++) {
        PyObject *value;
        memcpy(&word, raw + FIELDS[i].at, sizeof word); /* raw is longer than that, whatever came */
        if (FIELDS[i].at + FIELDS[i].wide <= (int)size)
            value = PyLong_FromUnsignedLong(FIELDS[i].wide == 1 ? raw[FIELDS[i].at] : word);
        else
            value = i == 0 ? PyLong_FromLong(0) : Py_NewRef(Py_None);
        if (value == NULL)
            Py_CLEAR(told);
        else
            PyTuple_SET_ITEM(told, i, value);
    }
    return told;
}

static PyMethodDef methods[] = {
    {"transfer", (PyCFunction)(void (*)(void))transfer, METH_FASTCALL, NULL},
    {"receive", (PyCFunction)(void (*)(void))receive, METH_FASTCALL, NULL},
    {"accept", accept_client, METH_O, NULL},
    {"dial", (PyCFunction)(void (*)(void))dial, METH_FASTCALL, NULL},
    {"tcp_info", (PyCFunction)(void (*)(void))tcp_info, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_syscalls", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__syscalls(void)
{
    return PyModuleDef_Init(&module);
}
