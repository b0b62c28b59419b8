//! Link types: which header a captured packet begins with, and the names that people know them by.
//!
//! The numbers and names are those of the registry at <https://www.tcpdump.org/linktypes.html>.

use alveary_diag::{Diagnostic, Place};

/// The header that the packets of a capture begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// BSD loopback: four bytes that hold an address family in the byte order of the capturing machine (0).
    Null,
    /// Ethernet (1).
    Ethernet,
    /// An IPv4 or IPv6 packet, told apart by its version (101; 12 and 14 in old files).
    Raw,
    /// OpenBSD loopback: four bytes that hold an address family in network order (108).
    Loop,
    /// Linux cooked capture, version 1: what `tcpdump -i any` wrote for decades (113).
    LinuxSll,
    /// An IPv4 packet (228).
    Ipv4,
    /// An IPv6 packet (229).
    Ipv6,
    /// Linux cooked capture, version 2 (276).
    LinuxSll2,
}

/// Every number that may stand for a link type in a file. The first row of a type is the one that is written.
const NUMBERS: &[(u16, LinkType)] = &[
    (0, LinkType::Null),
    (1, LinkType::Ethernet),
    (101, LinkType::Raw),
    (12, LinkType::Raw),
    (14, LinkType::Raw),
    (108, LinkType::Loop),
    (113, LinkType::LinuxSll),
    (228, LinkType::Ipv4),
    (229, LinkType::Ipv6),
    (276, LinkType::LinuxSll2),
];

/// Link types that are not read, so that the refusal can name them.
const OTHERS: &[(u16, &str)] = &[
    (3, "AX25"),
    (6, "IEEE802_5"),
    (7, "ARCNET_BSD"),
    (8, "SLIP"),
    (9, "PPP"),
    (10, "FDDI"),
    (50, "PPP_HDLC"),
    (51, "PPP_ETHER"),
    (100, "ATM_RFC1483"),
    (104, "C_HDLC"),
    (105, "IEEE802_11"),
    (107, "FRELAY"),
    (117, "PFLOG"),
    (119, "IEEE802_11_PRISM"),
    (122, "IP_OVER_FC"),
    (127, "IEEE802_11_RADIOTAP"),
    (143, "DOCSIS"),
    (147, "USER0"),
    (187, "BLUETOOTH_HCI_H4"),
    (189, "USB_LINUX"),
    (192, "PPI"),
    (195, "IEEE802_15_4_WITHFCS"),
    (201, "BLUETOOTH_HCI_H4_WITH_PHDR"),
    (204, "PPP_WITH_DIR"),
    (220, "USB_LINUX_MMAPPED"),
    (226, "IPNET"),
    (227, "CAN_SOCKETCAN"),
    (230, "IEEE802_15_4_NOFCS"),
    (239, "NFLOG"),
    (240, "NETANALYZER"),
    (242, "IPOIB"),
    (249, "USBPCAP"),
    (253, "NETLINK"),
    (274, "ETHERNET_MPACKET"),
];

impl LinkType {
    /// The link type that number `number` stands for in a file, or a refusal that names it.
    pub(crate) fn from_number(number: u16, at: Place) -> Result<Self, Diagnostic> {
        if let Some((_, link)) = NUMBERS.iter().find(|(n, _)| *n == number) {
            return Ok(*link);
        }
        let name = OTHERS.iter().find(|(n, _)| *n == number).map_or("a number without a name here", |(_, name)| name);
        Err(Diagnostic::new("capture-link-type", "packets of this link type are not read", at)
            .expected("Ethernet (1), raw IP (101, 228, 229), Linux cooked (113, 276) or loopback (0, 108)")
            .found(format!("link type {number} ({name})")))
    }

    /// The number that stands for it in a file.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            LinkType::Null => 0,
            LinkType::Ethernet => 1,
            LinkType::Raw => 101,
            LinkType::Loop => 108,
            LinkType::LinuxSll => 113,
            LinkType::Ipv4 => 228,
            LinkType::Ipv6 => 229,
            LinkType::LinuxSll2 => 276,
        }
    }

    /// The registry's name (`ETHERNET`, `LINUX_SLL`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LinkType::Null => "NULL",
            LinkType::Ethernet => "ETHERNET",
            LinkType::Raw => "RAW",
            LinkType::Loop => "LOOP",
            LinkType::LinuxSll => "LINUX_SLL",
            LinkType::Ipv4 => "IPV4",
            LinkType::Ipv6 => "IPV6",
            LinkType::LinuxSll2 => "LINUX_SLL2",
        }
    }
}
