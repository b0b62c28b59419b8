//! What is put around a packet that is measured, and what is told of it: the layouts of `bpf/srv6/delay.h`.

use alveary::net::seg6;
use std::net::Ipv6Addr;

const IPV6: usize = 40;
const VERSION: u8 = 6 << 4;
const ROUTING: u8 = 43;
const INSIDE_IPV6: u8 = 41;
const HOPS: u8 = 64;

/// The delay TLV: whole, without its type and length.
const TLV: usize = 32;
const ONE_WAY: u8 = 124;
const TWO_WAY: u8 = 252;

/// Segments that there is room for.
pub(in super::super) const MOST_SEGMENTS: usize = 10;

/// Headers, and where the TLV is in them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) bytes: Vec<u8>,
    pub(super) tlv: usize,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Kind {
    /// The way there and back.
    pub(in super::super) two_way: bool,
    /// The packet is only sent for that: it goes no further than to where it is reported.
    pub(in super::super) probe: bool,
}

/// An IPv6 header from `source`, a header with the segments in the order in which they are visited, the TLV. There is
/// one segment at least.
pub(super) fn headers(path: u32, source: Ipv6Addr, segments: &[Ipv6Addr], kind: Kind) -> Headers {
    let Kind { two_way, probe } = kind;
    let mut srh = seg6::header_of(segments, false, None);
    srh[0] = INSIDE_IPV6;
    srh[1] += (TLV / 8) as u8;
    let tlv = IPV6 + srh.len();
    let first = segments.first().copied().unwrap_or(Ipv6Addr::UNSPECIFIED);
    let mut bytes = vec![VERSION, 0, 0, 0, 0, 0, ROUTING, HOPS];
    bytes.extend(source.octets());
    bytes.extend(first.octets());
    bytes.extend(srh);
    bytes.extend([if two_way { TWO_WAY } else { ONE_WAY }, TLV as u8 - 2, 0, u8::from(probe)]);
    bytes.extend(path.to_be_bytes());
    bytes.resize(tlv + TLV, 0);
    Headers { bytes, tlv }
}

/// What one packet told. Times are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Report {
    pub(in super::super) path: u32,
    pub(in super::super) two_way: bool,
    pub(in super::super) sequence: u64,
    pub(in super::super) sent: u64,
    /// Two-way: when it was at the far end.
    pub(in super::super) reflected: u64,
    pub(in super::super) received: u64,
}

impl Report {
    /// A record of the ring buffer; `None` if it is none.
    pub(in super::super) fn read(record: &[u8]) -> Option<Report> {
        let half = |at: usize| Some(u32::from_ne_bytes(*record.get(at..)?.first_chunk()?));
        let word = |at: usize| Some(u64::from_ne_bytes(*record.get(at..)?.first_chunk()?));
        Some(Report {
            path: half(0)?,
            two_way: half(4)? == u32::from(TWO_WAY),
            sequence: word(8)?,
            sent: word(16)?,
            reflected: word(24)?,
            received: word(32)?,
        })
    }

    /// From there to here, in nanoseconds: of what was sent back, the whole way.
    pub(in super::super) fn delay(&self) -> i64 {
        self.received.wrapping_sub(self.sent) as i64
    }

    /// Of what was sent back: the way there. Its clock and ours may differ.
    pub(in super::super) fn there(&self) -> Option<i64> {
        self.two_way.then(|| self.reflected.wrapping_sub(self.sent) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_what_routers_take() {
        let segments: Vec<Ipv6Addr> = ["fc00:1::1", "fc00:2::d", "fc00:2::6"].map(|s| s.parse().expect("one")).into();
        let source = "fc00::9".parse().expect("an address");
        let made = headers(7, source, &segments, Kind { two_way: true, probe: true });
        assert_eq!((made.bytes.len(), made.tlv), (40 + 8 + 48 + 32, 96));
        assert_eq!((made.bytes[6], made.bytes[40], made.bytes[41], made.bytes[42]), (43, 41, 10, 4));
        assert_eq!((made.bytes[43], made.bytes[44]), (2, 2), "two are left, the last one is the first to be visited");
        assert_eq!(made.bytes[24..40], segments[0].octets());
        assert_eq!(made.bytes[48..64], segments[2].octets());
        assert_eq!(made.bytes[96..104], [252, 30, 0, 1, 0, 0, 0, 7]);
        assert!(seg6::Srh::of(&made.bytes[..], seg6::Spent::Counts).is_some(), "a header that is checked");
    }

    #[test]
    fn reports() {
        let mut record = [7u32, 252].map(u32::to_ne_bytes).concat();
        record.extend([3u64, 1000, 1500, 2100].map(u64::to_ne_bytes).concat());
        let report = Report::read(&record).expect("a report");
        assert_eq!((report.path, report.sequence, report.delay(), report.there()), (7, 3, 1100, Some(500)));
        assert_eq!(Report::read(&record[..39]), None);
    }
}
