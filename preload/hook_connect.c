/* Reaching other machines and programs, by socket or by asking for a name. Nothing legitimate does inside an unpickler
 * (deed.h). */
#define _GNU_SOURCE
#include "decimal.h"
#include "deed.h"
#include "real.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#define ADDRESS_TEXT (sizeof(struct sockaddr_un) + sizeof "unix:")

static void put_port(char *text, uint16_t port)
{
    char digits[DECIMAL_SIZE];
    strcat(strcat(text, ":"), decimal(ntohs(port), digits));
}

/* "192.0.2.1:80", "[2001:db8::1]:80", "unix:/path", "unix:@abstract", else "a socket". */
static void put_address(char text[ADDRESS_TEXT], const struct sockaddr *address, socklen_t length)
{
    const struct sockaddr_in *four = (const void *)address;
    const struct sockaddr_in6 *six = (const void *)address;
    const struct sockaddr_un *local = (const void *)address;
    size_t start = offsetof(struct sockaddr_un, sun_path);
    if (address->sa_family == AF_INET && length >= sizeof *four &&
        inet_ntop(AF_INET, &four->sin_addr, text, INET_ADDRSTRLEN)) {
        put_port(text, four->sin_port);
    } else if (address->sa_family == AF_INET6 && length >= sizeof *six &&
               inet_ntop(AF_INET6, &six->sin6_addr, text + 1, INET6_ADDRSTRLEN)) {
        text[0] = '[';
        put_port(strcat(text, "]"), six->sin6_port);
    } else if (address->sa_family == AF_UNIX && length > start && length <= sizeof *local) {
        strcpy(text, "unix:");
        memcpy(text + 5, local->sun_path, length - start);
        text[5 + length - start] = 0;
        if (!text[5])
            text[5] = '@';
    } else {
        strcpy(text, "a socket");
    }
}

static bool may_reach(const struct sockaddr *address, socklen_t length, const char *call)
{
    char text[ADDRESS_TEXT];
    /* No address: a connected socket. AF_UNSPEC disconnects; netlink talks to the kernel. */
    if (!who_suspected() || !address || length < sizeof address->sa_family || address->sa_family == AF_UNSPEC ||
        address->sa_family == AF_NETLINK)
        return true;
    put_address(text, address, length);
    return deed_may(EFFECT_CONNECT, text, call);
}

#define REACH(name)                                                                                \
    int hook_##name(int fd, const struct sockaddr *address, socklen_t length)                      \
    {                                                                                              \
        REAL_NEED(name, -1);                                                                       \
        return may_reach(address, length, #name) ? real.name(fd, address, length) : -1;            \
    }
REACH(connect)
REACH(__connect)
REACH(bind)

ssize_t hook_sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *address,
                    socklen_t address_length)
{
    REAL_NEED(sendto, -1);
    return may_reach(address, address_length, "sendto") ? real.sendto(fd, bytes, length, flags, address, address_length)
                                                        : -1;
}

ssize_t hook_sendmsg(int fd, const struct msghdr *message, int flags)
{
    REAL_NEED(sendmsg, -1);
    if (who_suspected() && message && !may_reach(message->msg_name, message->msg_namelen, "sendmsg"))
        return -1;
    return real.sendmsg(fd, message, flags);
}

int hook_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    REAL_NEED(sendmmsg, -1);
    for (unsigned i = 0; who_suspected() && i < count; i++)
        if (!may_reach(messages[i].msg_hdr.msg_name, messages[i].msg_hdr.msg_namelen, "sendmmsg"))
            return -1;
    return real.sendmmsg(fd, messages, count, flags);
}

int hook_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    REAL_NEED(getaddrinfo, EAI_SYSTEM);
    return deed_may(EFFECT_CONNECT, host, "getaddrinfo") ? real.getaddrinfo(host, service, hints, result) : EAI_SYSTEM;
}

int hook_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size, char *service,
                     socklen_t service_size, int flags)
{
    REAL_NEED(getnameinfo, EAI_SYSTEM);
    if (!may_reach(address, length, "getnameinfo"))
        return EAI_SYSTEM;
    return real.getnameinfo(address, length, host, host_size, service, service_size, flags);
}

struct hostent *hook_gethostbyname(const char *host)
{
    REAL_NEED(gethostbyname, NULL);
    return deed_may(EFFECT_CONNECT, host, "gethostbyname") ? real.gethostbyname(host) : NULL;
}

struct hostent *hook_gethostbyname2(const char *host, int family)
{
    REAL_NEED(gethostbyname2, NULL);
    return deed_may(EFFECT_CONNECT, host, "gethostbyname2") ? real.gethostbyname2(host, family) : NULL;
}

struct hostent *hook_gethostbyaddr(const void *address, socklen_t length, int family)
{
    REAL_NEED(gethostbyaddr, NULL);
    return deed_may(EFFECT_CONNECT, "a host", "gethostbyaddr") ? real.gethostbyaddr(address, length, family) : NULL;
}

/* The reentrant forms give their failure back and leave errno out. */
static bool may_look_up(const char *host, const char *call, struct hostent **result, int *error)
{
    if (deed_may_by_value(EFFECT_CONNECT, host, call))
        return true;
    *result = NULL;
    *error = NO_RECOVERY;
    return false;
}

int hook_gethostbyname_r(const char *host, struct hostent *entry, char *buffer, size_t size, struct hostent **result,
                         int *error)
{
    REAL_NEED(gethostbyname_r, ENOSYS);
    if (!may_look_up(host, "gethostbyname_r", result, error))
        return EACCES;
    return real.gethostbyname_r(host, entry, buffer, size, result, error);
}

int hook_gethostbyname2_r(const char *host, int family, struct hostent *entry, char *buffer, size_t size,
                          struct hostent **result, int *error)
{
    REAL_NEED(gethostbyname2_r, ENOSYS);
    if (!may_look_up(host, "gethostbyname2_r", result, error))
        return EACCES;
    return real.gethostbyname2_r(host, family, entry, buffer, size, result, error);
}

int hook_gethostbyaddr_r(const void *address, socklen_t length, int family, struct hostent *entry, char *buffer,
                         size_t size, struct hostent **result, int *error)
{
    REAL_NEED(gethostbyaddr_r, ENOSYS);
    if (!may_look_up("a host", "gethostbyaddr_r", result, error))
        return EACCES;
    return real.gethostbyaddr_r(address, length, family, entry, buffer, size, result, error);
}
