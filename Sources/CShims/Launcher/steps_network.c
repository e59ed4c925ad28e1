// Network devices: loopback up, host devices moved into the container's namespace.
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "launch.h"

int bl_bring_up_loopback(struct bl_error *error)
{
    cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE); // a kernel without IPv4
    struct ifreq request = {.ifr_name = "lo"};
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return bl_fail(error, errno, NULL, NULL);
    request.ifr_flags |= IFF_UP;
    return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? bl_fail(error, errno, NULL, NULL) : 0;
}

// A device's name, where it goes, and the addresses that the move would lose.
struct route_request {
    struct nlmsghdr header;
    union {
        struct ifinfomsg link;
        struct ifaddrmsg address;
    } body;
    char attributes[160];
};

#define MAX_ADDRESSES 64

struct device {
    unsigned index;
    size_t count;
    struct {
        struct ifaddrmsg header;
        unsigned char local[16], address[16], broadcast[4];
        size_t size;
        bool has_local, has_broadcast;
    } addresses[MAX_ADDRESSES];
};

static void put_attribute(struct route_request *request, unsigned short type, const void *value, size_t size)
{
    struct rtattr *attribute = (struct rtattr *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(size);
    memcpy(RTA_DATA(attribute), value, size);
    request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + (uint32_t)RTA_ALIGN(attribute->rta_len);
}

// 0, or an errno as a negative number.
static int transact(int netlink, struct route_request *request)
{
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char rest[256];
    } reply;
    if (send(netlink, request, request->header.nlmsg_len, 0) < 0 || recv(netlink, &reply, sizeof reply, 0) < 0)
        return -errno;
    return reply.header.nlmsg_type == NLMSG_ERROR ? reply.error.error : 0;
}

static void keep_address(struct device *device, const struct nlmsghdr *message)
{
    const struct ifaddrmsg *header = NLMSG_DATA(message);
    // What the kernel gives by itself (link-local, of a router's advertisement) it gives again.
    if (header->ifa_index != device->index || header->ifa_scope != RT_SCOPE_UNIVERSE ||
        !(header->ifa_flags & IFA_F_PERMANENT) || device->count == MAX_ADDRESSES)
        return;
    size_t size = header->ifa_family == AF_INET ? 4 : header->ifa_family == AF_INET6 ? 16 : 0;
    if (size == 0)
        return;
    __typeof__(&device->addresses[0]) kept = &device->addresses[device->count];
    bool has_address = false;
    memset(kept, 0, sizeof *kept);
    kept->header = *header;
    kept->size = size;
    int left = (int)IFA_PAYLOAD(message);
    for (const struct rtattr *attribute = IFA_RTA(header); RTA_OK(attribute, left);
         attribute = RTA_NEXT(attribute, left)) {
        if (RTA_PAYLOAD(attribute) < size)
            continue;
        if (attribute->rta_type == IFA_ADDRESS) {
            memcpy(kept->address, RTA_DATA(attribute), size);
            has_address = true;
        } else if (attribute->rta_type == IFA_LOCAL) {
            memcpy(kept->local, RTA_DATA(attribute), size);
            kept->has_local = true;
        } else if (attribute->rta_type == IFA_BROADCAST && size == 4) {
            memcpy(kept->broadcast, RTA_DATA(attribute), 4);
            kept->has_broadcast = true;
        }
    }
    if (has_address || kept->has_local)
        device->count++;
}

static int list_addresses(int netlink, struct device *device)
{
    struct route_request request = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)), .nlmsg_type = RTM_GETADDR,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
    };
    _Alignas(struct nlmsghdr) char buffer[32 * 1024];
    if (send(netlink, &request, request.header.nlmsg_len, 0) < 0)
        return -1;
    for (;;) {
        ssize_t got = recv(netlink, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        size_t left = (size_t)got;
        for (const struct nlmsghdr *message = (const struct nlmsghdr *)buffer; NLMSG_OK(message, left);
             message = NLMSG_NEXT(message, left)) {
            if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
                return 0;
            if (message->nlmsg_type == RTM_NEWADDR)
                keep_address(device, message);
        }
    }
}

static int move_link(int netlink, int namespace, const struct device *device, const char *name, const char *new_name,
                     struct bl_error *error)
{
    struct route_request request = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = RTM_SETLINK,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
        .body.link = {.ifi_family = AF_UNSPEC, .ifi_index = (int)device->index},
    };
    put_attribute(&request, IFLA_NET_NS_FD, &namespace, sizeof namespace);
    if (new_name[0])
        put_attribute(&request, IFLA_IFNAME, new_name, strlen(new_name) + 1);
    int code = transact(netlink, &request);
    return code < 0 ? bl_fail(error, -code, NULL, "move network device \"%s\"", name) : 0;
}

// In the container's network namespace: the addresses of before, and up.
static int restore_link(int netlink, unsigned index, const struct device *device, const char *name,
                        struct bl_error *error)
{
    for (size_t i = 0; i < device->count; i++) {
        struct route_request request = {
            .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)), .nlmsg_type = RTM_NEWADDR,
                       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL},
            .body.address = device->addresses[i].header,
        };
        request.body.address.ifa_index = index;
        if (device->addresses[i].has_local)
            put_attribute(&request, IFA_LOCAL, device->addresses[i].local, device->addresses[i].size);
        put_attribute(&request, IFA_ADDRESS, device->addresses[i].address, device->addresses[i].size);
        if (device->addresses[i].has_broadcast)
            put_attribute(&request, IFA_BROADCAST, device->addresses[i].broadcast, 4);
        int code = transact(netlink, &request);
        if (code < 0 && code != -EEXIST)
            return bl_fail(error, -code, NULL, "give network device \"%s\" its address", name);
    }
    struct route_request up = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = RTM_NEWLINK,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
        .body.link = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP},
    };
    int code = transact(netlink, &up);
    return code < 0 ? bl_fail(error, -code, NULL, "bring up network device \"%s\"", name) : 0;
}

// A netlink socket of another network namespace, and the device's index there.
static int open_there(int own, int there, const char *name, unsigned *index)
{
    if (setns(there, CLONE_NEWNET) < 0)
        return -1;
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    *index = if_nametoindex(name);
    int code = errno;
    if (setns(own, CLONE_NEWNET) < 0) {
        bl_close(&netlink);
        return -1;
    }
    if (*index == 0)
        bl_close(&netlink);
    errno = code;
    return netlink;
}

static int move_device(int netlink, int own, int there, const char *name, const char *new_name, struct bl_error *error)
{
    struct device device = {.index = if_nametoindex(name)};
    if (device.index == 0)
        return bl_fail(error, errno, NULL, "network device \"%s\"", name);
    if (strlen(new_name) >= IFNAMSIZ)
        return bl_fail(error, ENAMETOOLONG, NULL, "network device name \"%s\"", new_name);
    if (list_addresses(netlink, &device) < 0)
        return bl_fail(error, errno, NULL, "list the addresses of network device \"%s\"", name);
    if (move_link(netlink, there, &device, name, new_name, error) < 0)
        return -1;
    const char *moved = new_name[0] ? new_name : name;
    unsigned index = 0;
    cleanup_close int inner = open_there(own, there, moved, &index);
    if (inner < 0)
        return bl_fail(error, errno, NULL, "find network device \"%s\" in the container", moved);
    return restore_link(inner, index, &device, moved, error);
}

int bl_step_move_links(struct bl_launch *launch, const Berth__Launch__V1__MoveLinks *action, struct bl_error *error)
{
    char path[32];
    if (launch->is_child || launch->child <= 0)
        return bl_fail(error, EINVAL, NULL, "devices are moved by the host, after clone");
    snprintf(path, sizeof path, "%d/ns/net", launch->child);
    cleanup_close int there = openat(launch->host_proc, path, O_RDONLY | O_CLOEXEC);
    cleanup_close int own = openat(launch->host_proc, "self/ns/net", O_RDONLY | O_CLOEXEC);
    cleanup_close int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (there < 0 || own < 0 || netlink < 0)
        return bl_fail(error, errno, NULL, NULL);
    for (size_t i = 0; i < action->n_names; i++)
        if (move_device(netlink, own, there, action->names[i]->key, action->names[i]->value, error) < 0)
            return -1;
    return 0;
}
