// Sixteen translations of one packet's addresses and ports, with both checksums updated (RFC 1624), not summed anew.
#include "../kernel.h"

static u8 header[40];

INLINE u16 fold(u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (u16)((sum & 0xffff) + (sum >> 16));
}

CALLED u32 updated(u32 sum, u32 from, u32 to)
{
    sum = ~sum & 0xffff;
    sum += (~from & 0xffff) + (to & 0xffff);
    sum += (~from >> 16) + (to >> 16);
    return (u16)~fold(sum);
}

INLINE u64 run(u8 *data, u8 *end)
{
    u8 *ip = data + 14, *tcp = ip + 20;
    if (tcp + 20 > end || ip[0] != 0x45 || ip[9] != 6)
        return 0;
    u32 ip_sum = be16(ip + 10), tcp_sum = be16(tcp + 16), address = be32(ip + 12), ports = be32(tcp), out = 0;
    for (u32 i = 0; i < 16; i++) {
        u32 new_address = 0xc6120000 | i * 0x0101, new_ports = (ports & 0xffff) | (40000 + 7 * i) << 16;
        ip_sum = updated(ip_sum, address, new_address);
        tcp_sum = updated(tcp_sum, address, new_address);
        tcp_sum = updated(tcp_sum, ports, new_ports);
        address = new_address;
        ports = new_ports;
        header[12] = address >> 24;
        header[13] = address >> 16;
        header[14] = address >> 8;
        header[15] = address;
        header[20] = ports >> 24;
        header[21] = ports >> 16;
        out = out * 7 + (ip_sum << 16 | tcp_sum);
    }
    return out ^ header[15] ^ header[21];
}
