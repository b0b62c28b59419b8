//! What becomes of a packet after its verdict: whether it goes on, and with how many of its bytes.

use alveary_abi::ProgType;

/// Whether a packet goes on, to the stack or to a device, after a program of type `ty` has returned `code`.
///
/// XDP: `XDP_PASS`, `XDP_TX`, `XDP_REDIRECT`; what is unknown counts as aborted. tc: all but what is shot, stolen, queued
/// or trapped (`net/core/dev.c`, `sch_handle_ingress`). Tunnels: what is not dropped, or unknown. A socket filter accepts
/// what it does not give the length 0.
pub(super) fn goes_on(ty: ProgType, code: i32) -> bool {
    match ty {
        ProgType::XDP => matches!(code, 2..=4),
        ProgType::SCHED_CLS | ProgType::SCHED_ACT => !matches!(code, 2 | 4 | 5 | 8),
        ProgType::LWT_IN | ProgType::LWT_OUT | ProgType::LWT_XMIT => matches!(code, 0 | 7 | 128),
        ProgType::LWT_SEG6LOCAL => matches!(code, 0 | 7),
        _ => code != 0,
    }
}

/// How many bytes of a packet of `length` bytes are kept. A socket filter returns that number, unsigned.
pub(super) fn kept(ty: ProgType, code: i32, length: usize) -> usize {
    match ty {
        ProgType::SOCKET_FILTER => length.min(code as u32 as usize),
        _ => length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_that_let_a_packet_go_on() {
        let on = |ty, codes: std::ops::RangeInclusive<i32>| codes.filter(|c| goes_on(ty, *c)).collect::<Vec<_>>();
        assert_eq!(on(ProgType::XDP, -1..=6), [2, 3, 4]);
        assert_eq!(on(ProgType::SCHED_CLS, -1..=9), [-1, 0, 1, 3, 6, 7, 9]);
        assert_eq!(on(ProgType::LWT_IN, -1..=9), [0, 7]);
        assert_eq!(on(ProgType::LWT_SEG6LOCAL, 7..=128), [7]);
        assert_eq!(on(ProgType::SOCKET_FILTER, -1..=2), [-1, 1, 2]);
    }

    #[test]
    fn a_socket_filter_cuts() {
        assert_eq!(kept(ProgType::SOCKET_FILTER, 60, 98), 60);
        assert_eq!(kept(ProgType::SOCKET_FILTER, -1, 98), 98);
        assert_eq!(kept(ProgType::XDP, 2, 98), 98);
    }
}
