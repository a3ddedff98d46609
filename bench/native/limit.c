/*
 * limit: the least that a server must do for each client, as a lower bound of the cost.
 *
 *     limit PORT ITEMS_A_WRITE
 *
 * Upgrades every client after reading three letters; then each payload, a line on stdin, becomes one frame, and
 * ITEMS_A_WRITE frames are written to every socket in one send(). No filter, no log, no metric, no heartbeat. It waits
 * for a socket that is full.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int sockets[70000], opened;
static unsigned char frames[1 << 20];
static size_t frames_bytes;
static char input[1 << 22];
static size_t input_bytes;

static void send_all(int fd)
{
    const unsigned char *rest = frames;
    size_t left = frames_bytes;
    while (left) {
        ssize_t sent = send(fd, rest, left, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return;
        if (sent < 0) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            poll(&room, 1, 1000);
            continue;
        }
        rest += sent;
        left -= (size_t)sent;
    }
}

static void add_frame(const char *payload, size_t size)
{
    unsigned char *head = frames + frames_bytes;
    head[0] = 0x81;
    head[1] = 126;
    head[2] = (unsigned char)(size >> 8);
    head[3] = (unsigned char)size;
    memcpy(head + 4, payload, size);
    frames_bytes += 4 + size;
}

static void take_lines(int items_a_write)
{
    static int waiting;
    char *line = input, *end;
    while ((end = memchr(line, '\n', input_bytes - (size_t)(line - input)))) {
        add_frame(line, (size_t)(end - line));
        line = end + 1;
        if (++waiting < items_a_write) continue;
        for (int place = 0; place < opened; place++) send_all(sockets[place]);
        waiting = 0;
        frames_bytes = 0;
    }
    input_bytes -= (size_t)(line - input);
    memmove(input, line, input_bytes);
}

static void accept_all(int listening, int poller)
{
    int fd, one = 1;
    while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct epoll_event readable = {.events = EPOLLIN, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &readable);
    }
}

static void forget(int fd)
{
    close(fd);
    for (int place = 0; place < opened; place++)
        if (sockets[place] == fd) sockets[place] = sockets[--opened];
}

static void read_client(int fd)
{
    /* The answer to the one key that load.c sends (RFC 6455 section 1.3). */
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    char data[4096];
    ssize_t got = recv(fd, data, sizeof data, 0);
    if (got <= 0) {
        forget(fd);
    } else if (got > 4 && !memcmp(data, "GET ", 4)) {
        send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
        sockets[opened++] = fd;
    }
}

int main(int count, char **arguments)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct epoll_event events[512], readable = {.events = EPOLLIN};
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poller = epoll_create1(0), one = 1;
    if (count < 3) return 2;
    address.sin_port = htons((uint16_t)atoi(arguments[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listening, (void *)&address, sizeof address) || listen(listening, 4096)) {
        perror("bind");
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    fcntl(0, F_SETFL, O_NONBLOCK);
    readable.data.fd = listening;
    epoll_ctl(poller, EPOLL_CTL_ADD, listening, &readable);
    readable.data.fd = 0;
    epoll_ctl(poller, EPOLL_CTL_ADD, 0, &readable);
    puts("LISTENING");
    fflush(stdout);
    for (;;) {
        int happened = epoll_wait(poller, events, 512, -1);
        for (int place = 0; place < happened; place++) {
            int fd = events[place].data.fd;
            if (fd == listening) {
                accept_all(listening, poller);
            } else if (fd) {
                read_client(fd);
            } else {
                ssize_t got = read(0, input + input_bytes, sizeof input - input_bytes);
                if (!got) return 0;
                if (got < 0) continue;
                input_bytes += (size_t)got;
                take_lines(atoi(arguments[2]));
            }
        }
    }
}
