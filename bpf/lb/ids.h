/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reals that packets name themselves: QUIC connection ids, an option of TCP, a header in datagrams; and TCP's MSS. */
#ifndef ALVEARY_LB_IDS_H
#define ALVEARY_LB_IDS_H

#include "connections.h"

#define QUIC_LONG		0x80
#define QUIC_TYPE		0x30
#define QUIC_HANDSHAKE		0x20	/* of lower types the client chose the id */
#define QUIC_NEXT		0x10
#define QUIC_2			0x6b3343cf	/* the version whose types are one further (RFC 9369) */
#define QUIC_SHORTEST_ID	8
#define STABLE			0x52
#define TCP_END			0
#define TCP_NOP			1
#define TCP_MSS			2
#define TCP_ID			0xb7
#define TCP_OPTIONS		40

/* The real of an id, or 0. */
static __always_inline __u32 named(const struct lb_id *id)
{
	__u32 *real = bpf_map_lookup_elem(&ids, id);

	step(LB_STEP_ID, id->kind, real ? *real : 0);
	count_event(real ? LB_BY_ID : LB_UNKNOWN_ID);
	return real ? *real : 0;
}

/* A connection id of 8 bytes or more, of which `bytes` are `at`. */
static __always_inline __u32 by_quic(const struct lb_vip *vip, const __u8 *at, __u32 bytes)
{
	struct lb_id id = { .vip = vip->number };
	__u8 first = at[0];

	if (vip->flags & LB_QUIC) {
		if (first >> 6 == 1) {
			id.kind = LB_ID_QUIC_1;
			id.length = 2;
			id.id[0] = first << 2 | at[1] >> 6;
			id.id[1] = at[1] << 2 | at[2] >> 6;
		} else if (first >> 6 == 2) {
			id.kind = LB_ID_QUIC_2;
			id.length = 3;
			__builtin_memcpy(id.id, at + 1, 3);
		} else if (first >> 6 == 3) {
			id.kind = LB_ID_QUIC_3;
			id.length = 4;
			__builtin_memcpy(id.id, at + 1, 4);
		} else {
			return 0;
		}
		return named(&id);
	}
	/* Three bits of configuration; the last one is for ids that no balancer can read. */
	id.kind = LB_ID_QUIC_LB + (first >> 5);
	id.length = vip->quic >> (first >> 5) * 4 & 0xf;
	if (first >> 5 == 7 || !id.length || id.length + 1u > bytes)
		return 0;
#pragma unroll
	for (int i = 0; i < 15; i++)
		id.id[i] = i < id.length ? at[1 + i] : 0;
	return named(&id);
}

/* As many bytes of what a datagram carries as any header here has, zeros behind its end; gives how many there were. */
static __always_inline __u32 load_payload(struct xdp_md *context, const struct run *run, __u8 *to, __u32 most)
{
	__u32 at = L4(run) + sizeof(struct udphdr);
	__u32 end = run->l3 + run->length;
	__u32 bytes = end > at ? end - at : 0;

	if (bytes > most)
		bytes = most;
	if (bytes < QUIC_SHORTEST_ID || bytes > 32)
		return 0;
	return bpf_xdp_load_bytes(context, at, to, bytes) ? 0 : bytes;
}

PART __u32 by_datagram(struct xdp_md *context, const struct run *run, const struct lb_vip *vip)
{
	__u8 bytes[32] = {};
	__u32 length;
	__u8 type;

	if (!run || !vip)
		return 0;
	length = load_payload(context, run, bytes, sizeof(bytes));
	if (!length)
		return 0;
	if (vip->flags & LB_UDP_STABLE) {
		struct lb_id id = { .vip = vip->number, .kind = LB_ID_UDP, .length = 3 };

		if (bytes[0] != STABLE)
			return 0;
		__builtin_memcpy(id.id, bytes + 1, 3);
		return named(&id);
	}
	if (!(bytes[0] & QUIC_LONG))
		return length > QUIC_SHORTEST_ID ? by_quic(vip, bytes + 1, length - 1) : 0;
	/* Type, version, length of the id, the id. */
	type = bytes[0];
	if (bytes[1] == (QUIC_2 >> 24) && bytes[2] == (QUIC_2 >> 16 & 0xff) && bytes[3] == (QUIC_2 >> 8 & 0xff) &&
	    bytes[4] == (QUIC_2 & 0xff))
		type -= QUIC_NEXT;
	if ((type & QUIC_TYPE) < QUIC_HANDSHAKE || bytes[5] < QUIC_SHORTEST_ID || bytes[5] > 20 ||
	    bytes[5] + 6u > length)
		return 0;
	return by_quic(vip, bytes + 6, bytes[5]);
}

/*
 * 0, which the verifier does not know: it then follows one way through the options where it would follow one for each place
 * that an option may begin at.
 */
static volatile __u32 start;

/* Where an option of TCP is among `bytes` of them, or below 0. */
static __always_inline int find_option(const __u8 *options, __u32 bytes, __u8 kind, __u8 length)
{
	__u32 at = start;

	for (int i = 0; i < TCP_OPTIONS; i++) {
		__u8 its, skips;

		if (at + length > bytes || at >= TCP_OPTIONS - 1)
			return -1;
		its = options[at];
		if (its == TCP_END)
			return -1;
		if (its == TCP_NOP) {
			at++;
			continue;
		}
		skips = options[at + 1];
		if (its == kind)
			return skips == length ? (int)at : -1;
		if (skips < 2)
			return -1;
		at += skips;
	}
	return -1;
}

/* The options of TCP, zeros behind them; gives how many bytes there are. */
static __always_inline __u32 load_options(struct xdp_md *context, const struct run *run, __u8 *to)
{
	struct tcphdr *tcp = start_of(context) + L4(run);
	__u32 bytes;

	if ((void *)(tcp + 1) > end_of(context) || tcp->doff < 6)
		return 0;
	bytes = tcp->doff * 4 - sizeof(*tcp);
	if (bytes < 4 || bytes > TCP_OPTIONS)
		return 0;
	return bpf_xdp_load_bytes(context, L4(run) + sizeof(*tcp), to, bytes) ? 0 : bytes;
}

PART __u32 by_option(struct xdp_md *context, const struct run *run, const struct lb_vip *vip)
{
	__u8 options[TCP_OPTIONS + 8] = {};
	struct lb_id id = { .kind = LB_ID_TCP, .length = 4 };
	int at;

	if (!run || !vip)
		return 0;
	at = find_option(options, load_options(context, run, options), TCP_ID, 6);
	if (at < 0 || at > TCP_OPTIONS - 6)
		return 0;
	id.vip = vip->number;
	id.id[0] = options[at + 2];
	id.id[1] = options[at + 3];
	id.id[2] = options[at + 4];
	id.id[3] = options[at + 5];
	return named(&id);
}

/* Has a SYN promise no more than `mss`. */
PART int clamp(struct xdp_md *context, const struct run *run, __u32 mss)
{
	__u8 options[TCP_OPTIONS + 8] = {};
	struct tcphdr *tcp;
	__u16 before, after = bpf_htons(mss);
	__sum16 checksum;
	int at;

	if (!run)
		return 0;
	at = find_option(options, load_options(context, run, options), TCP_MSS, 4);
	tcp = start_of(context) + L4(run);
	if (at < 0 || at > TCP_OPTIONS - 4 || (void *)(tcp + 1) > end_of(context))
		return 0;
	before = options[at + 2] | options[at + 3] << 8;
	if (bpf_ntohs(before) <= mss)
		return 0;
	/* It may begin at an odd byte of the header, where halves of the sum are the other way round. */
	checksum = at & 1 ? changed(tcp->check, bpf_ntohs(before), bpf_ntohs(after)) : changed(tcp->check, before, after);
	if (bpf_xdp_store_bytes(context, L4(run) + sizeof(*tcp) + at + 2, &after, sizeof(after)))
		return 0;
	tcp = start_of(context) + L4(run);
	if ((void *)(tcp + 1) > end_of(context))
		return 0;
	tcp->check = checksum;
	count_event(LB_CLAMPED);
	step(LB_STEP_CLAMPED, bpf_ntohs(before), mss);
	return 0;
}

#endif
