//! Flags of the UAPI: for maps, programs and helpers, under their kernel names.

/// Constants of one type, each with its meaning.
macro_rules! flags {
    ($list:ident: $type:ty { $($name:ident = $value:expr, $doc:literal;)* }) => {
        $(#[doc = $doc] pub const $name: $type = $value;)*

        #[cfg(test)]
        pub(crate) const $list: &[(&str, u64)] = &[$((stringify!($name), $name as u64),)*];
    };
}

// Of a map, when it is made (`MapDef::flags`).
flags! { MAP_CREATE: u32 {
    BPF_F_NO_PREALLOC = 1 << 0, "Entries are allocated when they are added. An LPM trie has to have it.";
    BPF_F_NO_COMMON_LRU = 1 << 1, "Each CPU has an LRU list of its own.";
    BPF_F_NUMA_NODE = 1 << 2, "The memory comes from the given NUMA node.";
    BPF_F_RDONLY = 1 << 3, "User space may only read it.";
    BPF_F_WRONLY = 1 << 4, "User space may only write it.";
    BPF_F_STACK_BUILD_ID = 1 << 5, "Frames of user space are stored as build id and offset.";
    BPF_F_ZERO_SEED = 1 << 6, "The hash function is seeded with 0. For tests only.";
    BPF_F_RDONLY_PROG = 1 << 7, "Programs may only read it.";
    BPF_F_WRONLY_PROG = 1 << 8, "Programs may only write it.";
    BPF_F_CLONE = 1 << 9, "A new socket inherits the value of the socket that accepted it.";
    BPF_F_MMAPABLE = 1 << 10, "User space may map its memory.";
    BPF_F_PRESERVE_ELEMS = 1 << 11, "Perf events stay when the file descriptor that added them is closed.";
    BPF_F_INNER_MAP = 1 << 12, "As an inner map it may differ in size from the template.";
    BPF_F_LINK = 1 << 13, "A struct_ops map is attached by a link.";
    BPF_F_PATH_FD = 1 << 14, "The path is relative to a file descriptor.";
    BPF_F_VTYPE_BTF_OBJ_FD = 1 << 15, "The value's type is from the BTF of a module.";
    BPF_F_TOKEN_FD = 1 << 16, "A BPF token is passed.";
    BPF_F_SEGV_ON_FAULT = 1 << 17, "A fault of user space in an arena is a SIGSEGV and allocates nothing.";
    BPF_F_NO_USER_CONV = 1 << 18, "Pointers in an arena are not turned into user space's.";
} }

// Of an element, when it is read or set.
flags! { ELEMENT: u64 {
    BPF_ANY = 0, "Set the element whether it is there or not.";
    BPF_NOEXIST = 1, "Set the element if it is not there.";
    BPF_EXIST = 2, "Set the element if it is there.";
    BPF_F_LOCK = 4, "Read or write it under the spin lock in its value.";
    BPF_LOCAL_STORAGE_GET_F_CREATE = 1, "Make the value if the object has none.";
    BPF_SK_STORAGE_GET_F_CREATE = 1, "Make the value if the socket has none.";
} }

// Of a program, when it is loaded.
flags! { PROG_LOAD: u32 {
    BPF_F_STRICT_ALIGNMENT = 1 << 0, "Alignment is checked even where the machine does not care.";
    BPF_F_ANY_ALIGNMENT = 1 << 1, "Alignment is not checked, so that tests are the same everywhere.";
    BPF_F_TEST_RND_HI32 = 1 << 2, "Upper halves that do not matter are filled with random bits. For tests only.";
    BPF_F_TEST_STATE_FREQ = 1 << 3, "The verifier keeps its state at every branch. For tests only.";
    BPF_F_SLEEPABLE = 1 << 4, "The program may sleep.";
    BPF_F_XDP_HAS_FRAGS = 1 << 5, "The program can deal with frames in fragments.";
    BPF_F_XDP_DEV_BOUND_ONLY = 1 << 6, "The program is bound to a device, for its metadata functions.";
    BPF_F_TEST_REG_INVARIANTS = 1 << 7, "Broken invariants of the verifier's ranges are errors. For tests only.";
} }

// Of a program, when it is attached.
flags! { PROG_ATTACH: u32 {
    BPF_F_ALLOW_OVERRIDE = 1 << 0, "A control group below may have its own program instead.";
    BPF_F_ALLOW_MULTI = 1 << 1, "A control group below may have programs of its own as well.";
    BPF_F_REPLACE = 1 << 2, "Takes the place of the given program.";
    BPF_F_BEFORE = 1 << 3, "Goes before the given program, or first.";
    BPF_F_AFTER = 1 << 4, "Goes behind the given program, or last.";
    BPF_F_ID = 1 << 5, "The given program is named by id.";
    BPF_F_PREORDER = 1 << 6, "Runs before the programs of control groups below.";
} }

// Of helpers that write to packets.
flags! { PACKET: u64 {
    BPF_F_RECOMPUTE_CSUM = 1 << 0, "skb_store_bytes: adapt the checksum of the skb.";
    BPF_F_INVALIDATE_HASH = 1 << 1, "skb_store_bytes: drop the hash of the flow.";
    BPF_F_HDR_FIELD_MASK = 0xf, "csum_replace: size of the changed field; 0: the difference is given.";
    BPF_F_PSEUDO_HDR = 1 << 4, "l4_csum_replace: the field is part of the pseudo header.";
    BPF_F_MARK_MANGLED_0 = 1 << 5, "l4_csum_replace: a checksum of 0 means none and stays.";
    BPF_F_MARK_ENFORCE = 1 << 6, "l4_csum_replace: with MARK_MANGLED_0, adapt one of 0 all the same.";
    BPF_F_IPV6 = 1 << 7, "l4_csum_replace: the packet is IPv6.";
    BPF_HDR_START_MAC = 0, "skb_load_bytes_relative: from the MAC header on.";
    BPF_HDR_START_NET = 1, "skb_load_bytes_relative: from the network header on.";
    BPF_ADJ_ROOM_NET = 0, "skb_adjust_room: behind the network header.";
    BPF_ADJ_ROOM_MAC = 1, "skb_adjust_room: behind the MAC header.";
    BPF_F_ADJ_ROOM_FIXED_GSO = 1 << 0, "skb_adjust_room: leave the segment size as it is.";
    BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 = 1 << 1, "skb_adjust_room: the new header is IPv4.";
    BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 = 1 << 2, "skb_adjust_room: the new header is IPv6.";
    BPF_F_ADJ_ROOM_ENCAP_L4_GRE = 1 << 3, "skb_adjust_room: the new header ends in GRE.";
    BPF_F_ADJ_ROOM_ENCAP_L4_UDP = 1 << 4, "skb_adjust_room: the new header ends in UDP.";
    BPF_F_ADJ_ROOM_NO_CSUM_RESET = 1 << 5, "skb_adjust_room: leave the checksum state as it is.";
    BPF_F_ADJ_ROOM_ENCAP_L2_ETH = 1 << 6, "skb_adjust_room: the new inner header begins with Ethernet.";
    BPF_F_ADJ_ROOM_DECAP_L3_IPV4 = 1 << 7, "skb_adjust_room: the packet becomes IPv4.";
    BPF_F_ADJ_ROOM_DECAP_L3_IPV6 = 1 << 8, "skb_adjust_room: the packet becomes IPv6.";
    BPF_CSUM_LEVEL_QUERY = 0, "csum_level: tell it.";
    BPF_CSUM_LEVEL_INC = 1, "csum_level: one more.";
    BPF_CSUM_LEVEL_DEC = 2, "csum_level: one less.";
    BPF_CSUM_LEVEL_RESET = 3, "csum_level: none is verified.";
    BPF_MTU_CHK_SEGS = 1 << 0, "check_mtu: check the segments of a GSO packet.";
    BPF_SKB_CLOCK_REALTIME = 0, "skb_set_tstamp: the clock is CLOCK_REALTIME.";
    BPF_SKB_CLOCK_MONOTONIC = 1, "skb_set_tstamp: the clock is CLOCK_MONOTONIC.";
    BPF_SKB_CLOCK_TAI = 2, "skb_set_tstamp: the clock is CLOCK_TAI.";
} }

// Of helpers that send packets on.
flags! { REDIRECT: u64 {
    BPF_F_INGRESS = 1 << 0, "To the device's receiving side.";
    BPF_F_BROADCAST = 1 << 3, "redirect_map: to every device in the map.";
    BPF_F_EXCLUDE_INGRESS = 1 << 4, "redirect_map: with BROADCAST, but not to the device it came from.";
    BPF_FIB_LOOKUP_DIRECT = 1 << 0, "fib_lookup: ask the main table alone.";
    BPF_FIB_LOOKUP_OUTPUT = 1 << 1, "fib_lookup: as for a packet that is sent from here.";
    BPF_FIB_LOOKUP_SKIP_NEIGH = 1 << 2, "fib_lookup: do not ask for the neighbour.";
    BPF_FIB_LOOKUP_TBID = 1 << 3, "fib_lookup: with DIRECT, ask the given table.";
    BPF_FIB_LOOKUP_SRC = 1 << 4, "fib_lookup: tell the source address to use.";
    BPF_FIB_LOOKUP_MARK = 1 << 5, "fib_lookup: use the given mark.";
    BPF_F_TUNINFO_IPV6 = 1 << 0, "Tunnel keys: the addresses are IPv6.";
    BPF_F_ZERO_CSUM_TX = 1 << 1, "Tunnel keys: send with a UDP checksum of 0.";
    BPF_F_DONT_FRAGMENT = 1 << 2, "Tunnel keys: set DF.";
    BPF_F_SEQ_NUMBER = 1 << 3, "Tunnel keys: add a sequence number.";
    BPF_F_NO_TUNNEL_KEY = 1 << 4, "Tunnel keys: add no key.";
    BPF_F_TUNINFO_FLAGS = 1 << 4, "Tunnel keys: copy the flags as well.";
} }

// Of helpers that hand data to user space.
flags! { EVENT: u64 {
    BPF_F_INDEX_MASK = 0xffff_ffff, "Perf events: the index, in the lower half of the flags.";
    BPF_F_CURRENT_CPU = 0xffff_ffff, "Perf events: the index is this CPU's.";
    BPF_F_CTXLEN_MASK = 0xf_ffff << 32, "Perf events: how many bytes of the packet go behind the record.";
    BPF_RB_NO_WAKEUP = 1 << 0, "Ring buffers: do not wake the reader.";
    BPF_RB_FORCE_WAKEUP = 1 << 1, "Ring buffers: wake the reader in any case.";
    BPF_RB_AVAIL_DATA = 0, "ringbuf_query: bytes that are not read yet.";
    BPF_RB_RING_SIZE = 1, "ringbuf_query: its size.";
    BPF_RB_CONS_POS = 2, "ringbuf_query: the reader's position.";
    BPF_RB_PROD_POS = 3, "ringbuf_query: the writers' position.";
    BPF_F_SKIP_FIELD_MASK = 0xff, "Stacks: how many frames to skip.";
    BPF_F_USER_STACK = 1 << 8, "Stacks: that of user space.";
    BPF_F_FAST_STACK_CMP = 1 << 9, "get_stackid: compare stacks by hash alone.";
    BPF_F_REUSE_STACKID = 1 << 10, "get_stackid: a new stack replaces another one with its hash.";
    BPF_F_USER_BUILD_ID = 1 << 11, "get_stack: frames of user space as build id and offset.";
    BPF_F_GET_BRANCH_RECORDS_SIZE = 1 << 0, "read_branch_records: only tell their size.";
} }

// Ring buffer records, as they lie in the shared memory.
flags! { RECORD: u32 {
    BPF_RINGBUF_BUSY_BIT = 1 << 31, "In a record's length: it is still being written.";
    BPF_RINGBUF_DISCARD_BIT = 1 << 30, "In a record's length: it was dropped.";
    BPF_RINGBUF_HDR_SZ = 8, "Bytes before a record.";
} }

// Of other helpers.
flags! { OTHER: u64 {
    BPF_F_TIMER_ABS = 1 << 0, "timer_start: at that time, not after it.";
    BPF_F_TIMER_CPU_PIN = 1 << 1, "timer_start: fire on this CPU.";
    BPF_F_SYSCTL_BASE_NAME = 1 << 0, "sysctl_get_name: without the path.";
    BPF_LOAD_HDR_OPT_TCP_SYN = 1 << 0, "load_hdr_opt: from the saved SYN.";
    BPF_F_BPRM_SECUREEXEC = 1 << 0, "bprm_opts_set: as for a set-user-id program.";
} }

#[cfg(test)]
pub(crate) const ALL: &[&[(&str, u64)]] =
    &[MAP_CREATE, ELEMENT, PROG_LOAD, PROG_ATTACH, PACKET, REDIRECT, EVENT, RECORD, OTHER];
