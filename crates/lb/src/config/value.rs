//! Values of the configuration: what each is read from, and what is expected where it is not.

use super::table::Read;
use crate::maglev::Size;
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};
use toml::de::DeValue;

/// A whole number.
fn integer(value: &DeValue<'_>) -> Option<i128> {
    let number = value.as_integer()?;
    let digits: String = number.as_str().chars().filter(|c| *c != '_').collect();
    i128::from_str_radix(&digits, number.radix()).ok()
}

fn text<'a>(value: &'a DeValue<'_>, expected: &str) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| expected.to_owned())
}

macro_rules! whole_numbers {
    ($($ty:ident)*) => {
        $(impl Read for $ty {
            fn read(value: &DeValue<'_>) -> Result<$ty, String> {
                integer(value)
                    .and_then(|number| $ty::try_from(number).ok())
                    .ok_or_else(|| format!("a whole number from 0 to {}", $ty::MAX))
            }
        })*
    };
}

whole_numbers! { u16 u32 u64 }

impl Read for bool {
    fn read(value: &DeValue<'_>) -> Result<bool, String> {
        value.as_bool().ok_or_else(|| "true or false".into())
    }
}

impl Read for String {
    fn read(value: &DeValue<'_>) -> Result<String, String> {
        text(value, "text in quotation marks").map(str::to_owned)
    }
}

impl Read for PathBuf {
    fn read(value: &DeValue<'_>) -> Result<PathBuf, String> {
        text(value, "a path in quotation marks").map(PathBuf::from)
    }
}

impl Read for IpAddr {
    fn read(value: &DeValue<'_>) -> Result<IpAddr, String> {
        const EXPECTED: &str = "an IP address: \"192.0.2.1\", \"2001:db8::1\"";
        let text = text(value, EXPECTED)?;
        text.parse().map(|address: IpAddr| address.to_canonical()).map_err(|_| EXPECTED.into())
    }
}

impl Read for SocketAddr {
    fn read(value: &DeValue<'_>) -> Result<SocketAddr, String> {
        const EXPECTED: &str = "address and port: \"127.0.0.1:9100\", \"[::1]:9100\"";
        text(value, EXPECTED)?.parse().map_err(|_| EXPECTED.into())
    }
}

/// What is expected of a time.
pub const TIME: &str = "a time of at most a day: \"500ms\", \"30s\", \"5m\", \"24h\"";

/// `30s`, `500ms`, `5m`.
impl Read for Duration {
    fn read(value: &DeValue<'_>) -> Result<Duration, String> {
        duration(text(value, TIME)?).ok_or_else(|| TIME.into())
    }
}

/// A number and its unit (`ms`, `s`, `m`, `h`); a day is the most.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let units = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let seconds = units.iter().find_map(|(unit, seconds)| {
        let number: f64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        Some(number * seconds)
    })?;
    (0.0..=86_400.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

impl Read for Size {
    fn read(value: &DeValue<'_>) -> Result<Size, String> {
        let number = integer(value).and_then(|number| u32::try_from(number).ok());
        number.and_then(Size::new).ok_or_else(|| match number {
            Some(number) => {
                format!("a prime number from 3 to {}; {} is one", Size::MOST, Size::at_least(number).slots())
            }
            None => format!("a prime number from 3 to {}", Size::MOST),
        })
    }
}

/// A status of HTTP, or several in a row: `204`, `"200-299"`.
pub(super) struct Statuses(pub(super) u16, pub(super) u16);

impl Read for Statuses {
    fn read(value: &DeValue<'_>) -> Result<Statuses, String> {
        const EXPECTED: &str = "statuses from 100 to 599: 204, \"200-299\"";
        let range = match value.as_str() {
            Some(text) => {
                text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)))
            }
            None => integer(value).and_then(|status| u16::try_from(status).ok()).map(|status| (status, status)),
        };
        match range {
            Some((first, last)) if 100 <= first && first <= last && last <= 599 => Ok(Statuses(first, last)),
            _ => Err(EXPECTED.into()),
        }
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl std::str::FromStr for Mac {
    type Err = ();
    fn from_str(text: &str) -> Result<Mac, ()> {
        let bytes: Option<Vec<u8>> = text
            .split(':')
            .map(|part| if part.len() == 2 { u8::from_str_radix(part, 16).ok() } else { None })
            .collect();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Mac).ok_or(())
    }
}

impl Read for Mac {
    fn read(value: &DeValue<'_>) -> Result<Mac, String> {
        const EXPECTED: &str = "an Ethernet address: \"02:00:00:00:00:01\"";
        text(value, EXPECTED)?.parse().map_err(|()| EXPECTED.into())
    }
}

/// A prefix of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// The address; its bits behind the prefix are 0.
    pub address: IpAddr,
    /// How many bits count.
    pub bits: u8,
}

impl Prefix {
    /// Whether an address is one of it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(four)) => {
                (u32::from(own) ^ u32::from(four)).checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(six)) => {
                (u128::from(own) ^ u128::from(six)).checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl std::str::FromStr for Prefix {
    type Err = ();
    fn from_str(text: &str) -> Result<Prefix, ()> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), |bits| bits.parse().map_err(|_| ()))?;
        let whole = match address {
            IpAddr::V4(four) => u32::from(four).checked_shl(bits.into()).unwrap_or(0) == 0,
            IpAddr::V6(six) => u128::from(six).checked_shl(bits.into()).unwrap_or(0) == 0,
        };
        if bits <= all && whole { Ok(Prefix { address, bits }) } else { Err(()) }
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Read for Prefix {
    fn read(value: &DeValue<'_>) -> Result<Prefix, String> {
        const EXPECTED: &str = "a prefix without bits behind it: \"192.0.2.0/24\", \"2001:db8::/32\"";
        text(value, EXPECTED)?.parse().map_err(|()| EXPECTED.into())
    }
}

/// Words that a value may be, and what each means.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$about:meta])+ $word:literal => $variant:ident,)* })*) => {
        $($(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$about])+ $variant,)*
        }

        impl $name {
            /// How it is written.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }
        }

        impl Read for $name {
            fn read(value: &DeValue<'_>) -> Result<$name, String> {
                let expected = [$(concat!("\"", $word, "\"")),*].join(", ");
                match text(value, &expected)? {
                    $($word => Ok($name::$variant),)*
                    _ => Err(expected),
                }
            }
        })*
    };
}

words! {
    /// Which XDP a device uses.
    Mode {
        /// The driver's, or else the generic one.
        "any" => Any,
        /// The driver's.
        "native" => Native,
        /// The generic one, behind the driver.
        "generic" => Generic,
    }
    /// A protocol that is balanced.
    Protocol {
        /// TCP.
        "tcp" => Tcp,
        /// UDP.
        "udp" => Udp,
        /// ICMP and ICMPv6, echo requests and replies.
        "icmp" => Icmp,
        /// Whatever no other VIP of the address takes.
        "any" => Any,
    }
    /// What a flow's real follows from.
    Hash {
        /// Addresses, ports and protocol.
        "flow" => Flow,
        /// The same without the source port: all connections of a client go to one real.
        "no-source-port" => NoSourcePort,
        /// The destination's port alone.
        "destination-port" => DestinationPort,
        /// The source's address alone.
        "source" => Source,
        /// Nothing: new connections go anywhere.
        "random" => Random,
    }
    /// How a VIP's table is made.
    Table {
        /// After Maglev, with weights.
        "maglev" => Maglev,
        /// As Katran's first one.
        "katran" => Katran,
        /// As Katran's second one.
        "katran-v2" => KatranV2,
    }
    /// What becomes of packets to a VIP.
    Action {
        /// They go to its reals.
        "balance" => Balance,
        /// They are left to the balancer's own host.
        "host" => Host,
        /// They are dropped.
        "drop" => Drop,
    }
    /// How packets get to a real.
    Forward {
        /// In another IP header: IPIP, 6-in-4, 4-in-6, IP6IP6.
        "ip" => Ip,
        /// In UDP: GUE, variant 1.
        "gue" => Gue,
        /// As they are, to its Ethernet address.
        "l2" => L2,
        /// With both addresses replaced, and the port if the real has another one.
        "nat" => Nat,
        /// To this machine.
        "local" => Local,
    }
    /// What becomes of packets that cannot be balanced by their ports.
    Policy {
        /// They are balanced by their addresses.
        "hash" => Hash,
        /// This machine gets them.
        "pass" => Pass,
        /// They are dropped.
        "drop" => Drop,
    }
    /// How connection ids of QUIC name reals.
    Quic {
        /// Katran's connection ids, versions 1 to 3.
        "katran" => Katran,
        /// Plaintext ids of draft-ietf-quic-load-balancers.
        "quic-lb" => QuicLb,
    }
    /// Which VIPs of an address have to have a real that is well for it to be announced.
    When {
        /// One of them.
        "any" => Any,
        /// Each of them.
        "all" => All,
    }
    /// How a real's health is checked.
    CheckKind {
        /// A connection can be made.
        "tcp" => Tcp,
        /// A request is answered with a status that is expected.
        "http" => Http,
        /// The same inside TLS.
        "https" => Https,
        /// A question is answered.
        "dns" => Dns,
        /// A program ends with 0.
        "exec" => Exec,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_prefixes() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("1.5 s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("5m"), Some(Duration::from_secs(300)));
        for wrong in ["5", "s", "-1s", "NaNs", "inf h", "25h"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        assert!("10.0.0.0/8".parse::<Prefix>().is_ok());
        assert!("::/0".parse::<Prefix>().is_ok());
        assert!("0.0.0.0/0".parse::<Prefix>().is_ok());
        for wrong in ["10.0.0.1/8", "10.0.0.0/33", "2001:db8::1/32", "x/8", "10.0.0.0/x"] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
        }
    }
}
