/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the balancer's data plane and its control plane tell each other: keys and values of the maps, the settings, what
 * is counted. docs/lb-data-plane.md has the reasons; this file is the contract.
 *
 * How a change reaches packets at once: a service (`struct lb_vip`) and its ring are written where nobody reads yet, in
 * a free slot of `services` and a free range of `rings`; then the one word that names the slot is put into `vips4` or
 * `vips6`. Slots, ranges and numbers of reals that nobody names any more are used again only after a grace period.
 */
#ifndef ALVEARY_LB_H
#define ALVEARY_LB_H

#include <linux/types.h>

/*
 * Changes whenever anything below does: maps of another version are not adopted. The map `layout` holds it. Maps that are new,
 * and a meaning for what was unused and zero, need no other version, if all works for who finds nothing there.
 */
#define LB_LAYOUT		1

/*
 * A real, as rings, tables of connections and ids name it: its number, and which of the reals that had this number it is.
 * An entry that names another than the one that is there is no entry. Number 0 is no real.
 */
#define LB_REAL_BITS		20
#define LB_REAL_NUMBER		((1u << LB_REAL_BITS) - 1)

/* Keys of `vips4` and `vips6`: what packets are addressed to. The value, a __u32, is a slot of `services`; 0 is none. */
struct lb_vip4 {
	__be32 address;
	__be16 port;		/* 0: any, asked after the exact one; of ICMP always 0 */
	__u8 protocol;		/* IPPROTO_ICMP in both families; 0: whatever no other key takes, and fragments */
	__u8 unused;
};

struct lb_vip6 {
	__be32 address[4];
	__be16 port;
	__u8 protocol;
	__u8 unused;
};

/* What time is counted in here: 2^30 ns of CLOCK_MONOTONIC, a bit more than a second. */
#define LB_TICK_SHIFT		30

/* Flags of a service. */
#define LB_NO_SOURCE_PORT	(1u << 0)	/* hash without the source port */
#define LB_DESTINATION_PORT	(1u << 1)	/* hash by the destination port alone */
#define LB_SOURCE		(1u << 2)	/* hash by the source address alone */
#define LB_RANDOM		(1u << 3)	/* new connections go anywhere in the ring */
#define LB_NO_CONNECTIONS	(1u << 4)	/* no table: every packet by the ring alone */
#define LB_NO_GLOBAL		(1u << 5)	/* only the table of the CPU */
#define LB_QUIC			(1u << 6)	/* Katran's connection ids, versions 1 to 3 */
#define LB_QUIC_LB		(1u << 7)	/* plaintext ids of draft-ietf-quic-load-balancers; `quic` says their lengths */
#define LB_TCP_ID		(1u << 8)	/* TCP option 0xb7 names the real */
#define LB_UDP_STABLE		(1u << 9)	/* the payload names the real */
#define LB_PREFIXES		(1u << 10)	/* ask `prefixes4` or `prefixes6` first */
#define LB_ECHO			(1u << 11)	/* answer echo requests here */
#define LB_HOST			(1u << 12)	/* leave packets to the host */
#define LB_DROP			(1u << 13)	/* drop them */
#define LB_CLAMP		(1u << 14)	/* no SYN promises more than `mss` */
#define LB_TTL			(1u << 15)	/* decrease the hop limit, and answer when it is over */
/* What becomes of fragments and of packets with IP options or extension headers: two bits each. */
#define LB_FRAGMENTS		16
#define LB_OPTIONS		18
#define LB_POLICY		3u
#define LB_NO_DESTINATION_PORT	(1u << 20)	/* hash without the destination port */
#define LB_AWAY			(1u << 21)	/* ask `away`, too */
#define LB_BY_ADDRESSES		0u		/* fragments: hash by addresses. Options: as if they were not there */
#define LB_PASS			1u
#define LB_REFUSE		2u

struct lb_vip {
	__u32 number;		/* of its counters, and in the keys of `prefixes4`, `prefixes6` and `ids` */
	__u32 flags;
	__u32 ring;		/* where it begins in `rings` */
	__u32 ring_size;	/* 0: no real at all */
	__u32 quic;		/* bytes of the server id by configuration, four bits each; 0: there is no such one */
	__u16 mss;
	__u16 idle;		/* ticks after which a datagram belongs to no connection; 0: never */
	__u32 unused[2];
};

/* How packets get to a real. */
enum lb_way {
	LB_WAY_NONE,		/* gone, or not yet: who finds it here is sent by the ring */
	LB_WAY_IP,		/* IPIP, 6-in-4, 4-in-6, IP6IP6: whatever the families say */
	LB_WAY_GUE,		/* GUE variant 1, which is the packet itself in UDP */
	LB_WAY_L2,		/* the real is on the link; only the Ethernet addresses change */
	LB_WAY_NAT,		/* both addresses are replaced, and the port is if `port` says so */
	LB_WAY_LOCAL,		/* the balancer's own host */
};

/* Flags of a real. */
#define LB_REAL_V6		(1u << 0)
#define LB_REAL_MAC		(1u << 1)	/* `macs` are written; else the packet goes back to whom it came from */
#define LB_REAL_CHECKSUM	(1u << 2)	/* GUE over IPv4 with a checksum; over IPv6 there is always one */
#define LB_REAL_DRAINING	(1u << 3)	/* only connections that are in a table */
#define LB_REAL_LEAVING		(1u << 4)	/* and that since nobody wants it any more: the next control plane is told */

struct lb_real {
	__u32 self;		/* number, and generation above it, as rings name it */
	__u8 way;
	__u8 flags;
	__be16 port;		/* UDP port of GUE, or the real's own behind NAT; 0: as it is */
	__u8 macs[12];		/* destination and source */
	__u32 ifindex;		/* where to; 0: where the packet came from */
	__be32 address[4];	/* of IPv4 the first */
	__be32 source[4];	/* of the outer header; of NAT the balancer's own, to which the real answers */
	__be32 entropy;		/* bits of the source's last word that hold the flow's hash instead; not of NAT */
	__u16 mtu;		/* longest IP packet that may leave towards it; 0: no limit */
	__u16 unused;
};

/* Client prefixes. The value, a __u32, is a slot of `services`, whose ring is taken: one real or many. */
struct lb_prefix4 {
	__u32 length;		/* 32 for the number, and the prefix's own */
	__be32 number;		/* of the VIP */
	__be32 address;
};

struct lb_prefix6 {
	__u32 length;
	__be32 number;
	__be32 address[4];
};

/* What names a real in packets: keys of `ids`. The value, a __u32, is a real as rings name it. */
enum lb_id_kind {
	LB_ID_QUIC_1 = 1,	/* 2 bytes */
	LB_ID_QUIC_2,		/* 3 bytes */
	LB_ID_QUIC_3,		/* 4 bytes */
	LB_ID_TCP,		/* 4 bytes, as they are in the option */
	LB_ID_UDP,		/* 3 bytes */
	LB_ID_QUIC_LB = 8,	/* and the configuration, 0 to 6; 1 to 15 bytes */
};

struct lb_id {
	__u32 vip;		/* its number: an id gets nobody to reals of another VIP */
	__u8 kind;
	__u8 length;
	__u8 id[16];		/* rest 0 */
	__u8 unused[2];
};

/* Who is gone for one service and there for others: keys of `away`. The value says nothing. */
struct lb_away {
	__u32 vip;		/* its number */
	__u32 real;		/* as rings name it */
};

/* Flows: keys of `connections4` and `connections6`, as packets of clients have them. */
struct lb_flow4 {
	__be32 source;
	__be32 destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 unused[3];
};

struct lb_flow6 {
	__be32 source[4];
	__be32 destination[4];
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 unused[3];
};

/* Where a flow goes. */
struct lb_connection {
	__u32 real;
	__be16 port;		/* NAT: the balancer's */
	__u16 seen;		/* tick, the lowest 16 bits */
};

/*
 * The table of a CPU: `lb_sets` sets of `cached` from `cpu * lb_sets` on. A flow is in the set that the low bits of its
 * hash say, under all 64 of them; the oldest gives way.
 */
#define LB_WAYS			4

struct lb_cached {
	__u64 hash;
	struct lb_connection to;
};

struct lb_set {
	struct lb_cached ways[LB_WAYS];
};

/* What comes back from reals behind NAT: keys of `nat4` and `nat6` are flows as the real's packets have them. */
#define LB_BACK_TICK		0x3fffu
#define LB_BACK_NEW		0x0000u	/* datagrams; of TCP, the real said no more than its SYN */
#define LB_BACK_OPEN		0x4000u
#define LB_BACK_CLOSED		0x8000u	/* one of the two sent FIN or RST */
#define LB_BACK_STATE		0xc000u

/* `seen` is the tick, its lowest 14 bits, and above it how far the connection is: that says how long it keeps its port. */
union lb_back_end {
	struct {
		__u16 mss;	/* that no SYN of the real's promises more than; 0: it may */
		__u16 seen;
	};
	__u32 both;
};

struct lb_back4 {
	__be32 client;
	__be32 vip;
	__be16 client_port;
	__be16 vip_port;
	__u32 real;
	__u32 number;		/* of the VIP */
	__u32 ifindex;		/* that the client is behind */
	__u8 macs[12];		/* towards it */
	union lb_back_end end;
};

struct lb_back6 {
	__be32 client[4];
	__be32 vip[4];
	__be16 client_port;
	__be16 vip_port;
	__u32 real;
	__u32 number;
	__u32 ifindex;
	__u8 macs[12];
	union lb_back_end end;
};

/* What may change while packets pass: the one entry of the map `.data.settings`. */
struct lb_settings {
	__u32 new_rate;		/* new entries of tables by tick and CPU; 0: no limit */
	__u32 answer_rate;	/* ICMP messages of our own by tick and CPU; 0: no limit */
	__u32 sample;		/* one of so many packets is logged; 0: none */
	__u32 unused[3];
	__u32 announce;		/* 1: new entries of connections go to `news` */
	__u16 nat_first;	/* ports of the balancer's for NAT, both included */
	__u16 nat_last;
};

/* Counters, each per CPU. */
struct lb_traffic {
	__u64 packets;
	__u64 bytes;
};

struct lb_vip_counters {
	struct lb_traffic in;
	struct lb_traffic back;	/* of NAT */
	__u64 opened;		/* new connections in the tables; those over the rate are not, but LB_NOT_ENTERED */
	__u64 global;		/* flows that another CPU, or a peer, knew */
};

/*
 * What became of packets: indices of `verdicts`. Those from LB_DROPPED on are dropped; those below LB_FORWARDED are the
 * host's.
 */
enum lb_verdict {
	LB_NOT_IP,		/* ARP, neighbour discovery, other protocols */
	LB_NO_VIP,		/* for nobody whom we balance */
	LB_LEFT,		/* the service says so */
	LB_LEFT_FRAGMENT,
	LB_LEFT_OPTIONS,
	LB_LOCAL,		/* the real is this host */
	LB_FORWARDED,		/* to a real */
	LB_RETURNED,		/* from a real behind NAT to its client */
	LB_ANSWERED_ECHO,
	LB_ANSWERED_TOO_BIG,
	LB_ANSWERED_EXPIRED,
	LB_DROPPED,
	LB_MALFORMED_ETHERNET = LB_DROPPED,
	LB_MALFORMED_IP,	/* cut, or lengths that cannot be */
	LB_MALFORMED_EXTENSION,	/* more extension headers than are walked, or one is cut */
	LB_MALFORMED_TRANSPORT,
	LB_MALFORMED_ICMP,	/* an error without the packet that it is about */
	LB_TOO_MANY_TAGS,
	LB_REFUSED,		/* the service says so */
	LB_REFUSED_FRAGMENT,
	LB_REFUSED_OPTIONS,
	LB_NO_PROTOCOL,		/* a protocol that is not balanced, for the address of a service */
	LB_NO_REAL,		/* the service has none */
	LB_TOO_BIG,		/* and it may not be said: no room, over the rate, or it is an ICMP error itself */
	LB_EXPIRED,
	LB_NO_ROOM,		/* before the packet for the outer headers */
	LB_NO_PORT,		/* all that were tried for NAT are taken, or the flow is new and over the rate */
	LB_NO_FLOW,		/* an ICMP error for NAT about a flow that nobody knows */
	LB_WRONG_FAMILY,	/* NAT from one family to the other */
	LB_VERDICTS,
};

/* What else is counted: indices of `events`, a __u64 each per CPU. */
enum lb_event {
	LB_NOT_ENTERED,		/* new connections over the rate, in no table */
	LB_EVICTED,		/* entries of a CPU's table that gave way before they were idle */
	LB_STALE,		/* entries whose real is gone */
	LB_BY_ID,		/* packets whose id named the real */
	LB_UNKNOWN_ID,		/* ids that name nobody: the packet went by its flow */
	LB_BY_PREFIX,
	LB_CLAMPED,
	LB_UNRECORDED,		/* records over the rate, or nobody read in time */
	LB_UNANNOUNCED,
	LB_UNSAMPLED,
	LB_EVENTS,
};

/* What is said about a packet: in `samples`, and before each record. */
struct lb_about {
	__u64 time;		/* CLOCK_MONOTONIC, ns */
	__be32 source[4];	/* as the packet came; of IPv4 the first */
	__be32 destination[4];
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 version;		/* 4 or 6; 0: not IP */
	__u16 length;		/* as it came, with its Ethernet header */
	__u32 vip;		/* number; ~0: none */
	__u32 real;		/* as rings name it; 0: none */
	__u32 verdict;		/* enum lb_verdict */
	__u32 ifindex;		/* where it came in */
};

/*
 * Who records: the one entry of the map `.data.recorder`, which is the recorder's alone to write. It has to say again and
 * again that it is there: behind `until` the data plane ends the recording by itself.
 */
struct lb_recorder {
	__u32 matches;		/* number of `matches` that are asked; 0: nothing is recorded */
	__u32 rate;		/* records by tick and CPU; 0: no limit */
	__u32 bytes;		/* of each packet, at most LB_SNAP */
	__u32 until;		/* tick, the lowest 32 bits */
};

/*
 * What is recorded: a packet that fits any of the `matches`. All of one that are set must fit, and if it has LB_MATCH_AND,
 * the next one, too. Ranges have their first and their last one.
 */
#define LB_MATCHES		16
#define LB_MATCH_SOURCE		(1u << 0)
#define LB_MATCH_DESTINATION	(1u << 1)
#define LB_MATCH_SOURCE_PORT	(1u << 2)
#define LB_MATCH_DESTINATION_PORT (1u << 3)
#define LB_MATCH_PROTOCOL	(1u << 4)
#define LB_MATCH_VERSION	(1u << 5)
#define LB_MATCH_VIP		(1u << 6)
#define LB_MATCH_REAL		(1u << 7)	/* its number alone */
#define LB_MATCH_VERDICT	(1u << 8)
#define LB_MATCH_LENGTH		(1u << 9)
#define LB_MATCH_AND		(1u << 31)

struct lb_match {
	__u32 given;		/* LB_MATCH_… that are asked */
	__u32 not;		/* those of them that must not fit */
	__be32 source[4];
	__be32 source_mask[4];
	__be32 destination[4];
	__be32 destination_mask[4];
	__u16 source_ports[2];	/* in the machine's byte order */
	__u16 destination_ports[2];
	__u16 lengths[2];
	__u8 protocols[2];
	__u8 versions[2];
	__u8 source_version;	/* 4 or 6: whose address it is */
	__u8 destination_version;
	__u32 vips[2];
	__u32 reals[2];
	__u32 verdicts[2];
};

/* A record in `records`: this, the packet as it came, the packet as it left. */
#define LB_SNAP			2048

struct lb_record {
	struct lb_about about;
	__u16 in;		/* bytes that are here of the packet as it came */
	__u16 out;		/* and as it left; 0 if it was dropped or is unchanged */
	__u16 length;		/* as it left */
	__u16 action;		/* XDP_… */
};

/* A new connection, in `news`. */
struct lb_news {
	struct lb_flow6 flow;	/* of IPv4 the first words of the addresses */
	__u32 version;
	struct lb_connection to;
	__u32 vip;		/* number */
};

/* A step of the way of a packet, in `steps`, if the program was loaded with `lb_trace`. */
enum lb_step_kind {
	LB_STEP_SERVICE,	/* a: slot, b: number */
	LB_STEP_PREFIX,		/* a: slot */
	LB_STEP_ID,		/* a: kind, b: real, 0 if nobody has this id */
	LB_STEP_CACHED,		/* a: real, in the table of the CPU */
	LB_STEP_GLOBAL,		/* a: real, in the global table */
	LB_STEP_STALE,		/* a: real that is gone */
	LB_STEP_HASH,		/* a: upper, b: lower half */
	LB_STEP_RING,		/* a: place in the ring, b: real */
	LB_STEP_ENTERED,	/* a: real: now in the tables */
	LB_STEP_NOT_ENTERED,	/* a: real: the rate is over */
	LB_STEP_REAL,		/* a: real, b: way */
	LB_STEP_PORT,		/* a: port of the balancer's for NAT */
	LB_STEP_BACK,		/* a: real, b: number of the VIP */
	LB_STEP_INNER,		/* an ICMP error: what it is about follows. a: type, b: code */
	LB_STEP_CLAMPED,	/* a: MSS before, b: after */
	LB_STEP_VERDICT,	/* a: enum lb_verdict, b: XDP_… */
	LB_STEP_UNASKED,	/* tables of connections are not. a: 0 a SYN, 1 the service has none, 2 a fragment */
	LB_STEP_MISSED,		/* the global table. a: 0 does not have it, 1 had it too long ago, 2 is not the service's */
};

struct lb_step {
	__u32 kind;
	__u32 a;
	__u32 b;
	__u32 unused;
};

#endif
