/* A paho C client as a test part: paho-c HOST PORT CLIENT_ID KEEP_ALIVE_S [TOPIC_TO_SUBSCRIBE]
 *
 * The library pings from its own thread; when PINGRESP does not come in time it sends a DISCONNECT as of
 * a client that leaves in order, and only then closes. One JSON line per thing that happened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <MQTTAsync.h>

static const char *topic;

static void tell(const char *event, const char *detail) {
    printf("{\"event\": \"%s\", \"detail\": \"%s\"}\n", event, detail ? detail : "");
    fflush(stdout);
}

static void lost(void *context, char *cause) {
    (void)context;
    tell("lost", cause);
    exit(0);
}

static int message(void *context, char *name, int length, MQTTAsync_message *content) {
    (void)context;
    (void)length;
    MQTTAsync_freeMessage(&content);
    MQTTAsync_free(name);
    return 1;
}

static void failed(void *context, MQTTAsync_failureData *why) {
    (void)context;
    tell("refused", why && why->message ? why->message : "");
    exit(0);
}

static void connected(void *context, MQTTAsync_successData *how) {
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    (void)how;
    tell("connected", "");
    if (topic)
        MQTTAsync_subscribe((MQTTAsync)context, topic, 0, &options);
}

int main(int count, char **arguments) {
    MQTTAsync client;
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    char address[128];

    if (count < 5)
        return 2;
    topic = count > 5 ? arguments[5] : NULL;
    snprintf(address, sizeof address, "tcp://%s:%s", arguments[1], arguments[2]);
    MQTTAsync_create(&client, address, arguments[3], MQTTCLIENT_PERSISTENCE_NONE, NULL);
    MQTTAsync_setCallbacks(client, client, lost, message, NULL);
    options.keepAliveInterval = atoi(arguments[4]);
    options.cleansession = 1;
    options.onSuccess = connected;
    options.onFailure = failed;
    options.context = client;
    MQTTAsync_connect(client, &options);
    for (;;)
        pause();
}
