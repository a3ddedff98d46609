/*
 * load: many WebSocket clients in one thread, for measuring servers.
 *
 *     load -p PORT -n CLIENTS [-x BYSTANDERS] [-e ITEMS] [-d] [-k SAMPLE] [-w WINDOW] [-i SECONDS] [-t SECONDS] [-N]
 *
 * Opens /ws/news?user_id=u0, u1 … (and b0, b1 … for bystanders, who must get no item) and prints a line
 * "READY {…}" once all are open. Then it reads until every client has ITEMS items, or nothing arrived for -i seconds, or
 * -t seconds are over, and prints "RESULT {…}". Without -e it holds the connections until SIGTERM.
 *
 * Each client must get exactly its items, in order: the number after "seq": must be one more than before.
 * Latency is the time from the stamp "pub_ns=" in the payload (CLOCK_MONOTONIC) to the return of recv().
 * -d offers permessage-deflate without context takeover, every -k th client inflates its messages.
 * -N speaks NATS inside the frames. The client is otherwise the same for every server.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum state { CONNECTING, UPGRADING, OPEN, GONE };
enum opcode { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

struct client {
    int fd;
    enum state state;
    bool is_bystander, has_deflate;
    uint64_t items, last_seq;
    unsigned char *rest; /* the bytes of an incomplete frame */
    size_t rest_bytes;
};

static struct {
    int port, clients, bystanders, items, sample, window;
    bool offers_deflate, speaks_nats;
    double idle_s, total_s;
} wanted = {.clients = 100, .sample = 10, .window = 256, .idle_s = 5, .total_s = 120};

static struct {
    int open, failed, closed, under_way, deflating;
    uint64_t items, bytes, receives, disordered, unstamped, first_sent_ns, last_got_ns;
} seen = {.first_sent_ns = UINT64_MAX};

static struct client *clients;
static int poller;
static volatile sig_atomic_t is_stopped;
static unsigned char buffer[1 << 20], inflated[1 << 17], deflated[1 << 17];
static z_stream inflater;

/* Latencies: 64 buckets for each power of two nanoseconds, so that a percentile is right to 1.6 %. */
#define PER_POWER 64
static uint64_t buckets[64 * PER_POWER], latencies, longest_ns;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double cpu_s(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static int bucket_of(uint64_t ns)
{
    if (ns < PER_POWER) return (int)ns;
    int power = 63 - __builtin_clzll(ns);
    return ((power - 5) * PER_POWER) | (int)((ns >> (power - 6)) & (PER_POWER - 1));
}

static uint64_t bottom_of(int bucket)
{
    if (bucket < PER_POWER) return (uint64_t)bucket;
    return (uint64_t)(PER_POWER + bucket % PER_POWER) << (bucket / PER_POWER - 1);
}

static double percentile_ms(double share)
{
    uint64_t before = 0, place = (uint64_t)((double)latencies * share);
    for (int bucket = 0; bucket < 64 * PER_POWER; bucket++) {
        before += buckets[bucket];
        if (before > place) return (double)bottom_of(bucket) / 1e6;
    }
    return (double)longest_ns / 1e6;
}

static void note_latency(uint64_t sent_ns, uint64_t got_ns)
{
    uint64_t ns = got_ns > sent_ns ? got_ns - sent_ns : 0;
    if (sent_ns < seen.first_sent_ns) seen.first_sent_ns = sent_ns;
    if (ns > longest_ns) longest_ns = ns;
    buckets[bucket_of(ns)]++;
    latencies++;
}

/* Read the number after a mark; return false if there is no mark. */
static bool number_behind(const unsigned char *text, size_t size, const char *mark, uint64_t *number)
{
    size_t length = strlen(mark);
    const unsigned char *place = memmem(text, size, mark, length), *end = text + size;
    if (!place) return false;
    *number = 0;
    for (place += length; place < end && *place >= '0' && *place <= '9'; place++) *number = *number * 10 + (*place - '0');
    return true;
}

static void end_client(struct client *client, bool is_failure)
{
    if (client->state == GONE) return;
    if (client->state == OPEN) seen.open--;
    else seen.under_way--;
    if (is_failure) seen.failed++;
    else seen.closed++;
    client->state = GONE;
    struct linger at_once = {1, 0};
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(client->fd);
}

static void begin_client(int number)
{
    struct client *client = &clients[number];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)wanted.port)};
    struct epoll_event writable = {.events = EPOLLIN | EPOLLOUT, .data.u32 = (uint32_t)number};
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->is_bystander = number < wanted.bystanders;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->fd < 0) {
        perror("socket");
        exit(2);
    }
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    seen.under_way++;
    if (connect(client->fd, (void *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
        end_client(client, true);
        return;
    }
    epoll_ctl(poller, EPOLL_CTL_ADD, client->fd, &writable);
}

static void ask_upgrade(int number)
{
    struct client *client = &clients[number];
    struct epoll_event readable = {.events = EPOLLIN, .data.u32 = (uint32_t)number};
    char request[512];
    int place = client->is_bystander ? number : number - wanted.bystanders;
    int size = snprintf(request, sizeof request,
        "GET /ws/news?user_id=%c%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
        client->is_bystander ? 'b' : 'u', place, wanted.port,
        wanted.offers_deflate ? "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                                "client_no_context_takeover\r\n" : "");
    if (send(client->fd, request, (size_t)size, MSG_NOSIGNAL) != size) {
        end_client(client, true);
        return;
    }
    client->state = UPGRADING;
    epoll_ctl(poller, EPOLL_CTL_MOD, client->fd, &readable);
}

/* Masked with zeros: RFC 6455 wants a mask, not a good one. */
static void send_frame(struct client *client, enum opcode opcode, const void *payload, size_t size)
{
    unsigned char frame[6 + 125] = {0x80 | opcode, 0x80 | (unsigned char)size};
    if (size > 125) return;
    memcpy(frame + 6, payload, size);
    if (send(client->fd, frame, 6 + size, MSG_NOSIGNAL) < 0) end_client(client, false);
}

static void count_item(struct client *client, uint64_t got_ns)
{
    client->items++;
    seen.items++;
    seen.last_got_ns = got_ns;
}

static void check_item(struct client *client, const unsigned char *text, size_t size, uint64_t got_ns)
{
    uint64_t seq = 0, sent_ns = 0;
    if (!number_behind(text, size, "\"seq\":", &seq) || (client->last_seq && seq != client->last_seq + 1)) seen.disordered++;
    client->last_seq = seq;
    if (number_behind(text, size, "pub_ns=", &sent_ns)) note_latency(sent_ns, got_ns);
    else seen.unstamped++;
}

static bool is_item(const unsigned char *text, size_t size)
{
    static const char head[] = "{\"type\":\"news_item\"";
    return size > sizeof head && !memcmp(text, head, sizeof head - 1);
}

static void take_text(struct client *client, const unsigned char *text, size_t size, uint64_t got_ns)
{
    if (!is_item(text, size)) return;
    count_item(client, got_ns);
    check_item(client, text, size, got_ns);
}

/* RFC 7692 section 7.2.2; a client outside the sample counts a compressed message as an item, by its size. */
static void take_deflated(struct client *client, const unsigned char *data, size_t size, uint64_t got_ns)
{
    if ((client - clients) % wanted.sample || size + 4 > sizeof deflated) {
        if (size > 200) count_item(client, got_ns);
        return;
    }
    memcpy(deflated, data, size);
    memcpy(deflated + size, "\0\0\xff\xff", 4);
    inflateReset(&inflater);
    inflater.next_in = deflated;
    inflater.avail_in = (uInt)size + 4;
    inflater.next_out = inflated;
    inflater.avail_out = sizeof inflated;
    int result = inflate(&inflater, Z_SYNC_FLUSH);
    if (result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END) seen.disordered++;
    else take_text(client, inflated, sizeof inflated - inflater.avail_out, got_ns);
}

static void take_frame(struct client *client, unsigned char head, const unsigned char *payload, size_t size, uint64_t got_ns)
{
    enum opcode opcode = head & 15;
    if (opcode == PING) send_frame(client, PONG, payload, size);
    else if (opcode != TEXT && opcode != BINARY) return;
    else if (head & 0x40) take_deflated(client, payload, size, got_ns);
    else take_text(client, payload, size, got_ns);
}

/* Return the bytes that were used: whole frames only. */
static size_t take_frames(struct client *client, const unsigned char *data, size_t size, uint64_t got_ns)
{
    size_t used = 0;
    while (size - used >= 2 && client->state == OPEN) {
        const unsigned char *frame = data + used;
        size_t left = size - used, head = 2, length = frame[1] & 127;
        if (length == 126) {
            if (left < 4) break;
            length = (size_t)frame[2] << 8 | frame[3];
            head = 4;
        } else if (length == 127) {
            if (left < 10) break;
            length = 0;
            for (int place = 2; place < 10; place++) length = length << 8 | frame[place];
            head = 10;
        }
        if (left < head + length) break;
        take_frame(client, frame[0], frame + head, length, got_ns);
        used += head + length;
    }
    return used;
}

/* NATS streams its protocol through the frames as it likes: items are found by how they begin and end. */
static size_t take_nats(struct client *client, const unsigned char *data, size_t size, uint64_t got_ns)
{
    static const char head[] = "{\"type\":\"news_item\"", tail[] = "}}\r\n", ping[] = "PING\r\n";
    size_t used = 0;
    if (memmem(data, size, ping, sizeof ping - 1)) send_frame(client, BINARY, "PONG\r\n", 6);
    for (;;) {
        const unsigned char *begin = memmem(data + used, size - used, head, sizeof head - 1), *end;
        if (!begin) return size > sizeof head ? size - sizeof head : 0;
        end = memmem(begin, size - (size_t)(begin - data), tail, sizeof tail - 1);
        if (!end) return (size_t)(begin - data);
        take_text(client, begin, (size_t)(end - begin) + 2, got_ns);
        used = (size_t)(end - data);
    }
}

/* Return the size of the answer's head, 0 while it is incomplete. */
static size_t take_answer(struct client *client, const unsigned char *data, size_t size)
{
    static const char hello[] = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB news 1\r\n";
    const unsigned char *end = memmem(data, size, "\r\n\r\n", 4);
    if (!end) return 0;
    if (memcmp(data, "HTTP/1.1 101", 12)) {
        if (!seen.failed) fprintf(stderr, "refused: %.*s\n", (int)(end - data), data);
        end_client(client, true);
        return 0;
    }
    client->state = OPEN;
    client->has_deflate = memmem(data, (size_t)(end - data), "permessage-deflate", 18) != NULL;
    seen.deflating += client->has_deflate;
    seen.under_way--;
    seen.open++;
    if (wanted.speaks_nats) send_frame(client, BINARY, hello, sizeof hello - 1);
    return (size_t)(end - data) + 4;
}

static void receive(struct client *client)
{
    memcpy(buffer, client->rest, client->rest_bytes);
    ssize_t got = recv(client->fd, buffer + client->rest_bytes, sizeof buffer - client->rest_bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        end_client(client, client->state != OPEN);
        return;
    }
    uint64_t got_ns = now_ns();
    size_t size = client->rest_bytes + (size_t)got, used = 0;
    seen.bytes += (uint64_t)got;
    seen.receives++;
    if (client->state == UPGRADING) used = take_answer(client, buffer, size);
    if (client->state == OPEN) used += (wanted.speaks_nats ? take_nats : take_frames)(client, buffer + used, size - used, got_ns);
    if (client->state == GONE) return;
    client->rest_bytes = size - used;
    if (client->rest_bytes) {
        client->rest = realloc(client->rest, client->rest_bytes);
        memcpy(client->rest, buffer + used, client->rest_bytes);
    }
}

static void handle(int number, uint32_t events)
{
    struct client *client = &clients[number];
    if (client->state == GONE) return;
    if (client->state != CONNECTING) receive(client);
    else if (events & (EPOLLERR | EPOLLHUP)) end_client(client, true);
    else if (events & EPOLLOUT) ask_upgrade(number);
}

static void stop(int number)
{
    (void)number;
    is_stopped = 1;
}

/* Return whether it is over; `ready_ns` is when all were open. */
static bool is_over(uint64_t ready_ns)
{
    uint64_t now = now_ns();
    if (is_stopped) return true;
    if (!wanted.items) return false;
    return seen.items >= (uint64_t)wanted.clients * (uint64_t)wanted.items || !seen.open
        || (seen.items && (double)(now - seen.last_got_ns) / 1e9 > wanted.idle_s)
        || (double)(now - ready_ns) / 1e9 > wanted.total_s;
}

static void tell_result(double used_s)
{
    double span_s = seen.last_got_ns > seen.first_sent_ns ? (double)(seen.last_got_ns - seen.first_sent_ns) / 1e9 : 0;
    uint64_t wrong = 0;
    for (int number = 0; number < wanted.clients + wanted.bystanders; number++)
        wrong += clients[number].items != (clients[number].is_bystander ? 0 : (uint64_t)wanted.items);
    printf("RESULT {\"items\":%" PRIu64 ",\"wrong_clients\":%" PRIu64 ",\"disordered\":%" PRIu64 ",\"unstamped\":%" PRIu64
        ",\"closed\":%d,\"span_s\":%.6f,\"bytes\":%" PRIu64 ",\"receives\":%" PRIu64 ",\"cpu_s\":%.4f,\"p50_ms\":%.4f"
        ",\"p99_ms\":%.4f,\"longest_ms\":%.4f}\n",
        seen.items, wrong, seen.disordered, seen.unstamped, seen.closed, span_s, seen.bytes, seen.receives, used_s,
        percentile_ms(0.5), percentile_ms(0.99), (double)longest_ns / 1e6);
    fflush(stdout);
}

static void read_arguments(int count, char **arguments)
{
    for (int option; (option = getopt(count, arguments, "p:n:x:e:k:w:i:t:dN")) > 0;) {
        if (option == 'p') wanted.port = atoi(optarg);
        else if (option == 'n') wanted.clients = atoi(optarg);
        else if (option == 'x') wanted.bystanders = atoi(optarg);
        else if (option == 'e') wanted.items = atoi(optarg);
        else if (option == 'k') wanted.sample = atoi(optarg);
        else if (option == 'w') wanted.window = atoi(optarg);
        else if (option == 'i') wanted.idle_s = atof(optarg);
        else if (option == 't') wanted.total_s = atof(optarg);
        else if (option == 'd') wanted.offers_deflate = true;
        else if (option == 'N') wanted.speaks_nats = true;
        else exit(2);
    }
}

int main(int count, char **arguments)
{
    struct epoll_event events[1024];
    uint64_t began_ns = now_ns(), ready_ns = 0;
    double cpu_ready_s = 0;
    int begun = 0, all;
    read_arguments(count, arguments);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    inflateInit2(&inflater, -15);
    all = wanted.clients + wanted.bystanders;
    clients = calloc((size_t)all, sizeof *clients);
    poller = epoll_create1(0);
    while (!ready_ns || !is_over(ready_ns)) {
        while (begun < all && seen.under_way < wanted.window) begin_client(begun++);
        int happened = epoll_wait(poller, events, 1024, 50);
        for (int place = 0; place < happened; place++) handle((int)events[place].data.u32, events[place].events);
        if (!ready_ns && begun == all && !seen.under_way) {
            ready_ns = now_ns();
            cpu_ready_s = cpu_s();
            printf("READY {\"open\":%d,\"failed\":%d,\"deflating\":%d,\"seconds\":%.6f}\n", seen.open, seen.failed,
                seen.deflating, (double)(ready_ns - began_ns) / 1e9);
            fflush(stdout);
        }
        if (is_stopped) break;
    }
    tell_result(cpu_s() - cpu_ready_s);
    for (int number = 0; number < all; number++) end_client(&clients[number], false);
    return 0;
}
