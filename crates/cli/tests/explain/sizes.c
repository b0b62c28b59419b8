static long (*bpf_skb_load_bytes)(void *context, __u32 off, void *to, __u32 size) = (void *)26;
struct pair { __u64 a, b; };
struct { __uint(type, 1); __uint(max_entries, 16); __type(key, struct pair); __type(value, struct value); } pairs SEC(".maps");

SEC("tc") int more_than_is_left(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct value *value = bpf_map_lookup_elem(&flows, &key);

	if (!value)
		return 0;
	bpf_skb_load_bytes(skb, 0, value->data + 20, 64);
	return 0;
}

SEC("tc") int short_key(struct __sk_buff *skb)
{
	__u32 key = 1;

	return bpf_map_lookup_elem(&pairs, &key) ? 1 : 2;
}

SEC("tc") int reserves_a_variable(struct __sk_buff *skb)
{
	__u8 *event = bpf_ringbuf_reserve(&ring, skb->len & 0xff, 0);

	if (!event)
		return 0;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("tc") int signed_check(struct __sk_buff *skb)
{
	char to[64];
	int length = skb->len - 14;

	if (length > 64)
		length = 64;
	bpf_skb_load_bytes(skb, 14, to, length);
	return to[0] == 4 ? 2 : 0;
}

SEC("cgroup_skb/ingress") int minus_one(struct __sk_buff *skb)
{
	return skb->len > 1500 ? -1 : 1;
}
