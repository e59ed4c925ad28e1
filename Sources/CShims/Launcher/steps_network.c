// Network devices: loopback up, host devices moved into the container's namespace.
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
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

struct link_request {
    struct nlmsghdr header;
    struct ifinfomsg link;
    char attributes[128];
};

static void put_attribute(struct link_request *request, unsigned short type, const void *value, size_t size)
{
    struct rtattr *attribute = (struct rtattr *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(size);
    memcpy(RTA_DATA(attribute), value, size);
    request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + (uint32_t)RTA_ALIGN(attribute->rta_len);
}

static int move_link(int netlink, int namespace, const char *name, const char *new_name, struct bl_error *error)
{
    unsigned index = if_nametoindex(name);
    if (index == 0)
        return bl_fail(error, errno, NULL, "network device \"%s\"", name);
    if (strlen(new_name) >= IFNAMSIZ)
        return bl_fail(error, ENAMETOOLONG, NULL, "network device name \"%s\"", new_name);
    struct link_request request = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = RTM_SETLINK,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
        .link = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index},
    };
    put_attribute(&request, IFLA_NET_NS_FD, &namespace, sizeof namespace);
    if (new_name[0])
        put_attribute(&request, IFLA_IFNAME, new_name, strlen(new_name) + 1);
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char rest[256];
    } reply;
    if (send(netlink, &request, request.header.nlmsg_len, 0) < 0 || recv(netlink, &reply, sizeof reply, 0) < 0)
        return bl_fail(error, errno, NULL, "move network device \"%s\"", name);
    if (reply.header.nlmsg_type == NLMSG_ERROR && reply.error.error != 0)
        return bl_fail(error, -reply.error.error, NULL, "move network device \"%s\"", name);
    return 0;
}

int bl_step_move_links(struct bl_launch *launch, const Berth__Launch__V1__MoveLinks *action, struct bl_error *error)
{
    char path[32];
    if (launch->is_child || launch->child <= 0)
        return bl_fail(error, EINVAL, NULL, "devices are moved by the host, after clone");
    snprintf(path, sizeof path, "%d/ns/net", launch->child);
    cleanup_close int namespace = openat(launch->host_proc, path, O_RDONLY | O_CLOEXEC);
    cleanup_close int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (namespace < 0 || netlink < 0)
        return bl_fail(error, errno, NULL, NULL);
    for (size_t i = 0; i < action->n_names; i++)
        if (move_link(netlink, namespace, action->names[i]->key, action->names[i]->value, error) < 0)
            return -1;
    return 0;
}
