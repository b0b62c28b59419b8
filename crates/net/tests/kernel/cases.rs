//! The programs.

use crate::Case;
use alveary_abi::{MapType, ProgType};

fn case(ty: ProgType, text: String) -> Case {
    Case { ty, text, map: None }
}

/// Calls a helper with the context and constants; what follows may use r6 (the context) and r7 (the result).
fn call(helper: &str, args: &[i64], then: &str) -> String {
    let registers = args.iter().enumerate().map(|(i, v)| format!("r{} = {v} ll\n", i + 2));
    let args = registers.collect::<String>();
    format!("r6 = r1\n{args}call {helper}\nr7 = r0\n{then}\nexit\n")
}

const RESULT: &str = "r0 = r7";

pub(crate) fn xdp() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |text: String| all.push(case(ProgType::XDP, text));
    for by in [0, 4, -4, -20, 46, 47, -216, -217, 100_000, -100_000, 1i64 << 32] {
        add(call("bpf_xdp_adjust_head", &[by], RESULT));
    }
    for by in [0, 1, -1, -14, -40, 64, 3000, 3464, 5000, -5000] {
        add(call("bpf_xdp_adjust_tail", &[by], RESULT));
    }
    for by in [0, -4, -8, -32, -3, 4, -216, -220, -252, -256] {
        add(call("bpf_xdp_adjust_meta", &[by], RESULT));
        let head = |then| format!("r1 = r6\nr2 = {then}\ncall bpf_xdp_adjust_head\nr0 += r7");
        add(call("bpf_xdp_adjust_meta", &[by], &head(-32)));
        add(call("bpf_xdp_adjust_meta", &[by], &head(2)));
    }
    add("call bpf_xdp_get_buff_len\nexit\n".into());
    for offset in [0, 10, 60, 0xffff, 0x10000, -1] {
        for len in [1, 8, 16] {
            add(format!(
                "*(u64 *)(r10 - 8) = 0x11223344\n*(u64 *)(r10 - 16) = -2\nr2 = {offset}\nr3 = r10\nr3 += -16\n\
                 r4 = {len}\ncall bpf_xdp_load_bytes\nr1 = *(u64 *)(r10 - 16)\nr1 ^= r0\nr0 = r1\nexit\n"
            ));
            add(format!(
                "*(u64 *)(r10 - 8) = 0x11223344\n*(u64 *)(r10 - 16) = -2\nr2 = {offset}\nr3 = r10\nr3 += -16\n\
                 r4 = {len}\ncall bpf_xdp_store_bytes\nexit\n"
            ));
        }
    }
    // A direct write: the two addresses change places.
    add("r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += 14\nr0 = 1\nif r4 > r3 goto out\n\
         r5 = *(u32 *)(r2 + 0)\nr4 = *(u32 *)(r2 + 6)\n*(u32 *)(r2 + 0) = r4\n*(u32 *)(r2 + 6) = r5\n\
         r5 = *(u16 *)(r2 + 4)\nr4 = *(u16 *)(r2 + 10)\n*(u16 *)(r2 + 4) = r4\n*(u16 *)(r2 + 10) = r5\n\
         r0 = 3\nout: exit\n"
        .into());
    for flags in [0, 1] {
        add(format!("r1 = 1\nr2 = {flags}\ncall bpf_redirect\nexit\n"));
    }
    for ty in [MapType::DEVMAP, MapType::DEVMAP_HASH, MapType::XSKMAP, MapType::CPUMAP] {
        for (key, flags) in [(0, 0), (0, 2), (1, 0), (1, 3), (3, 1), (9, 2), (1, 8), (0, 24), (0, 4), (1, 32)] {
            let text = format!("r1 = map ll\nr2 = {key}\nr3 = {flags}\ncall bpf_redirect_map\nexit\n");
            all.push(Case { map: Some(ty), ..case(ProgType::XDP, text) });
        }
    }
    all.extend(checksums(ProgType::XDP));
    all
}

/// `bpf_csum_diff` of two stretches of the stack.
fn checksums(ty: ProgType) -> Vec<Case> {
    let mut all = Vec::new();
    for (from, to, seed) in
        [(0, 4, 0), (4, 0, 0), (4, 4, 7), (8, 16, -1i64), (16, 8, 0xabcd_1234), (0, 0, 5), (16, 16, 1)]
    {
        let from_at = if from == 0 { "r1 = 0" } else { "r1 = r10\nr1 += -32" };
        let to_at = if to == 0 { "r3 = 0" } else { "r3 = r10\nr3 += -16" };
        let text = format!(
            "r1 = 0x0123456789abcdef ll\n*(u64 *)(r10 - 32) = r1\n*(u64 *)(r10 - 24) = r1\n\
             r1 = 0xfedcba9876543211 ll\n*(u64 *)(r10 - 16) = r1\n*(u64 *)(r10 - 8) = r1\n\
             {from_at}\nr2 = {from}\n{to_at}\nr4 = {to}\nr5 = {seed} ll\ncall bpf_csum_diff\nexit\n"
        );
        all.push(case(ty, text));
    }
    all
}

/// What can be asked of a socket buffer after a helper changed it.
const AFTER: &[&str] = &[
    RESULT,
    "r0 = *(u32 *)(r6 + 0)",
    "r0 = *(u32 *)(r6 + 16)",
    "r0 = *(u32 *)(r6 + 20)",
    "r0 = *(u32 *)(r6 + 24)",
    "r0 = *(u32 *)(r6 + 28)",
];

fn classifier(helper: &str, args: &[i64]) -> Vec<Case> {
    AFTER.iter().map(|then| case(ProgType::SCHED_CLS, call(helper, args, then))).collect()
}

/// Calls a second helper after the first.
fn twice(first: (&str, &[i64]), second: (&str, &[i64])) -> Vec<Case> {
    let args = second.1.iter().enumerate().map(|(i, v)| format!("r{} = {v} ll\n", i + 2)).collect::<String>();
    AFTER
        .iter()
        .map(|then| {
            let second = format!("r1 = r6\n{args}call {}\nr7 <<= 32\nr0 ^= r7\nr7 = r0\n{then}", second.0);
            case(ProgType::SCHED_CLS, call(first.0, first.1, &second))
        })
        .collect()
}

fn be(value: u16) -> i64 {
    u16::from_ne_bytes(value.to_be_bytes()).into()
}

pub(crate) fn classifiers() -> Vec<Case> {
    let mut all = checksums(ProgType::SCHED_CLS);
    for len in [0, 13, 14, 20, 60, 64, 1500, 4000, 16064, 16065, 100_000] {
        all.extend(classifier("bpf_skb_change_tail", &[len, 0]));
    }
    all.extend(classifier("bpf_skb_change_tail", &[64, 1]));
    for room in [0, 4, 14, 300, 5000, 20_000] {
        all.extend(classifier("bpf_skb_change_head", &[room, 0]));
    }
    for (proto, flags) in [(0x0800, 0), (0x86dd, 0), (0x0806, 0), (0x86dd, 1)] {
        all.extend(classifier("bpf_skb_change_proto", &[be(proto), flags]));
    }
    for (proto, tci) in [(0x8100, 7), (0x88a8, 0xffff), (0, 1), (0x0800, 4095)] {
        all.extend(classifier("bpf_skb_vlan_push", &[be(proto), tci]));
        all.extend(twice(("bpf_skb_vlan_push", &[be(proto), tci]), ("bpf_skb_vlan_push", &[be(0x8100), 9])));
        all.extend(twice(("bpf_skb_vlan_push", &[be(proto), tci]), ("bpf_skb_vlan_pop", &[])));
    }
    all.extend(classifier("bpf_skb_vlan_pop", &[]));
    all.extend(twice(("bpf_skb_vlan_pop", &[]), ("bpf_skb_vlan_pop", &[])));
    for len in [0, 1, 14, 60, 5000] {
        all.extend(classifier("bpf_skb_pull_data", &[len]));
    }
    all.extend(rooms());
    all.extend(bytes());
    all.extend(header_checksums());
    for level in 0..=4 {
        all.extend(classifier("bpf_csum_level", &[level]));
        all.extend(twice(("bpf_csum_level", &[1]), ("bpf_csum_level", &[level])));
    }
    all.extend(classifier("bpf_csum_update", &[5]));
    for ty in [0, 3, 4, 7] {
        all.extend(twice(("bpf_skb_change_type", &[ty]), ("bpf_skb_change_type", &[0])));
    }
    for flags in [0, 1, 2, 1i64 << 40] {
        for helper in ["bpf_redirect", "bpf_redirect_peer"] {
            all.push(case(ProgType::SCHED_CLS, format!("r1 = 1\nr2 = {flags} ll\ncall {helper}\nexit\n")));
        }
        let text = format!("r1 = 1\nr2 = 0\nr3 = 0\nr4 = {flags} ll\ncall bpf_redirect_neigh\nexit\n");
        all.push(case(ProgType::SCHED_CLS, text));
    }
    // Not here: bpf_skb_cgroup_id, bpf_get_socket_cookie and bpf_get_socket_uid. The test run gives its packet a socket,
    // in the root group; a packet of a capture has none.
    for helper in ["bpf_get_route_realm", "bpf_get_cgroup_classid"] {
        all.push(case(ProgType::SCHED_CLS, format!("call {helper}\nexit\n")));
    }
    let hash = "r1 = r6\ncall bpf_get_hash_recalc";
    all.push(case(ProgType::SCHED_CLS, call("bpf_set_hash", &[1234], hash)));
    all.push(case(ProgType::SCHED_CLS, call("bpf_set_hash", &[1234], "r0 = *(u32 *)(r6 + 68)")));
    all
}

fn rooms() -> Vec<Case> {
    const IPV4: i64 = 2;
    const IPV6: i64 = 4;
    const GRE: i64 = 8;
    const UDP: i64 = 16;
    const NO_RESET: i64 = 32;
    const ETH: i64 = 64;
    let mut all = Vec::new();
    for mode in [0, 1, 2] {
        for by in [0, 8, 20, -8, -20, 40, -40, 0xfff, 0x1000] {
            all.extend(classifier("bpf_skb_adjust_room", &[by, mode, 0]));
        }
        for flags in [
            IPV4,
            IPV6,
            IPV4 | IPV6,
            IPV4 | UDP,
            IPV6 | GRE,
            IPV4 | GRE | UDP,
            IPV4 | UDP | ETH,
            IPV4 | UDP | ETH | 14 << 56,
            IPV4 | 60 << 56,
            NO_RESET,
            1,
            1 << 7,
            1 << 8,
            3 << 7,
            1 << 9,
        ] {
            all.extend(classifier("bpf_skb_adjust_room", &[50, mode, flags]));
            all.extend(classifier("bpf_skb_adjust_room", &[-20, mode, flags]));
        }
    }
    let encap: (&str, &[i64]) = ("bpf_skb_adjust_room", &[28, 1, IPV4 | UDP]);
    all.extend(twice(encap, encap));
    all.extend(twice(encap, ("bpf_skb_change_tail", &[60, 0])));
    all.extend(twice(encap, ("bpf_skb_adjust_room", &[-28, 1, 0])));
    all.extend(twice(("bpf_skb_change_head", &[14, 0]), ("bpf_skb_adjust_room", &[20, 1, 0])));
    all.extend(twice(("bpf_skb_change_head", &[14, 0]), ("bpf_skb_change_tail", &[20, 0])));
    all.extend(twice(("bpf_skb_vlan_pop", &[]), ("bpf_skb_adjust_room", &[20, 1, 0])));
    all
}

fn bytes() -> Vec<Case> {
    let mut all = Vec::new();
    let stack = "r1 = 0x1122334455667788 ll\n*(u64 *)(r10 - 16) = r1\n*(u64 *)(r10 - 8) = r1\nr1 = r6\n";
    let sum = "r1 = *(u64 *)(r10 - 16)\nr2 = *(u64 *)(r10 - 8)\nr1 += r2\nr0 ^= r1\nr1 = r0\nr1 >>= 32\nr0 ^= r1";
    for offset in [0, 6, 30, 100, 0x7fff_ffff, -1] {
        for len in [1, 7, 16] {
            let args = format!("r2 = {offset}\nr3 = r10\nr3 += -16\nr4 = {len}\n");
            for ty in [ProgType::SCHED_CLS, ProgType::SOCKET_FILTER] {
                all.push(case(ty, format!("r6 = r1\n{stack}{args}call bpf_skb_load_bytes\n{sum}\nexit\n")));
                for from in [0, 1, 2] {
                    let relative = format!("{args}r5 = {from}\ncall bpf_skb_load_bytes_relative\n{sum}\nexit\n");
                    all.push(case(ty, format!("r6 = r1\n{stack}{relative}")));
                }
            }
            for flags in [0, 1, 2, 4] {
                let store = format!("{args}r5 = {flags}\ncall bpf_skb_store_bytes\nexit\n");
                all.push(case(ProgType::SCHED_CLS, format!("r6 = r1\n{stack}{store}")));
            }
        }
    }
    all
}

fn header_checksums() -> Vec<Case> {
    let mut all = Vec::new();
    for (from, to) in
        [(0, 0), (0x1234, 0x4321), (0, 0xffff_0001), (0xffff, 0), (0xdead_beef, 0xbeef_dead), (1, 0xffff_fffe)]
    {
        for size in [0, 2, 4, 3] {
            all.push(case(ProgType::SCHED_CLS, call("bpf_l3_csum_replace", &[24, from, to, size], RESULT)));
            for flags in [0, 0x10, 0x20, 0x60, 0x30] {
                for at in [40, 50] {
                    let args = [at, from, to, size | flags];
                    all.push(case(ProgType::SCHED_CLS, call("bpf_l4_csum_replace", &args, RESULT)));
                }
            }
        }
    }
    for (at, flags) in [(25, 2), (0x10000, 2), (4000, 2), (24, 0x10), (24, 0x102)] {
        for helper in ["bpf_l3_csum_replace", "bpf_l4_csum_replace"] {
            all.push(case(ProgType::SCHED_CLS, call(helper, &[at, 1, 2, flags], RESULT)));
        }
    }
    all
}

pub(crate) fn socket_filters() -> Vec<Case> {
    let mut all = Vec::new();
    for (size, offset) in [
        ("u8", "0"),
        ("u8", "9"),
        ("u16", "2"),
        ("u32", "12"),
        ("u32", "13"),
        ("u32", "20000"),
        ("u16", "-1048576"),
        ("u16", "-2097140"),
        ("u32", "-3"),
    ] {
        for ty in [ProgType::SOCKET_FILTER, ProgType::SCHED_CLS] {
            all.push(case(ty, format!("r6 = r1\nr0 = *({size} *)skb[{offset}]\nexit\n")));
            let text = format!("r6 = r1\nr7 = 1\nr0 = 5\nr0 = *({size} *)skb[r7 + {offset}]\nr0 += 1\nexit\n");
            all.push(case(ty, text));
        }
    }
    // A loop of loads: jumps go over code that grows.
    all.push(case(
        ProgType::SOCKET_FILTER,
        "r6 = r1\nr7 = 0\nr8 = 0\nagain: r0 = *(u8 *)skb[r7 + 0]\nr8 += r0\nr0 = *(u8 *)skb[0]\nr7 += 1\n\
         if r7 < 8 goto again\nr0 = r8\nexit\n"
            .into(),
    ));
    all
}

/// Every field that a type may read; `sk`, and packet pointers, are no numbers.
pub(crate) fn fields() -> Vec<Case> {
    let mut all = Vec::new();
    for ty in [ProgType::SOCKET_FILTER, ProgType::SCHED_CLS, ProgType::SCHED_ACT] {
        let tc = ty != ProgType::SOCKET_FILTER;
        let mut offsets = vec![0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 64, 68, 84, 164, 176];
        if tc {
            offsets.extend([72, 160]);
        }
        for offset in offsets {
            all.push(case(ty, format!("r0 = *(u32 *)(r1 + {offset})\nexit\n")));
        }
        for offset in [0, 4, 8, 12, 16, 17, 24, 40] {
            all.push(case(ty, format!("r0 = *(u8 *)(r1 + {offset})\nexit\n")));
            all.push(case(ty, format!("r0 = *(u16 *)(r1 + {})\nexit\n", offset & !1)));
        }
        // cb takes every width.
        all.push(case(
            ty,
            "r2 = 0x1122334455667788 ll\n*(u64 *)(r1 + 48) = r2\n*(u8 *)(r1 + 57) = r2\n*(u16 *)(r1 + 66) = r2\n\
             r0 = *(u32 *)(r1 + 52)\nr3 = *(u64 *)(r1 + 56)\nr0 += r3\nr3 = *(u16 *)(r1 + 66)\nr0 += r3\n\
             r3 = *(u8 *)(r1 + 49)\nr0 += r3\nexit\n"
                .into(),
        ));
    }
    for (offset, value) in
        [(8, 0x1_2345_6789i64), (12, 7), (12, 0xffff), (12, 0x12345), (32, -1), (44, 0x12345), (72, 0x54321)]
    {
        let text = format!("r2 = {value} ll\n*(u32 *)(r1 + {offset}) = r2\nr0 = *(u32 *)(r1 + {offset})\nexit\n");
        all.push(case(ProgType::SCHED_CLS, text));
    }
    let text =
        "r2 = 0x123456789 ll\n*(u64 *)(r1 + 152) = r2\nr0 = *(u64 *)(r1 + 152)\nr2 = r0\nr2 >>= 32\nr0 += r2\nexit\n";
    all.push(case(ProgType::SCHED_CLS, text.into()));
    for offset in [0, 4, 8, 12, 16] {
        let text = format!("r0 = *(u32 *)(r1 + {offset})\nr2 = *(u32 *)(r1 + 0)\n");
        let end = if offset < 12 { "r0 -= r2\nr0 &= 0\n" } else { "" };
        all.push(case(ProgType::XDP, format!("{text}{end}exit\n")));
    }
    all
}
