//! The packet that every kernel reads: Ethernet, IPv4, TCP, pseudo-random bytes, and two equal stretches of 256 bytes.

/// 1,494 bytes, always the same.
pub(crate) fn packet() -> Vec<u8> {
    let mut state: u64 = 7;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut packet: Vec<u8> = (0..1494).map(|_| random()).collect();
    packet[..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    packet[14..34].copy_from_slice(&[0x45, 0, 5, 200, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet[34..38].copy_from_slice(&[0x30, 0x39, 0, 80]);
    packet.copy_within(512..768, 1024);
    packet
}
