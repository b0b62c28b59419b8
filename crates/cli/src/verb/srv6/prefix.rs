//! Destinations of routes and numbers of tables, as users write them.

use std::{fmt, net::IpAddr, str::FromStr};

/// An address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) address: IpAddr,
    pub(super) bits: u8,
}

impl FromStr for Prefix {
    type Err = String;

    /// `ADDR/BITS`; an address alone is a destination of its own. Bits behind those that count are zero.
    fn from_str(text: &str) -> Result<Prefix, String> {
        let wrong = || format!("`{text}` is no address with its bits, as fc00:e::/64 or 10.1.0.0/16");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most {
            return Err(format!("`{text}`: such an address has {most} bits"));
        }
        let rest = u32::from(most - bits);
        let address = match address {
            IpAddr::V4(four) => {
                let bits = u32::from(four).checked_shr(rest).map_or(0, |bits| bits << rest);
                IpAddr::V4(bits.into())
            }
            IpAddr::V6(six) => {
                let bits = u128::from(six).checked_shr(rest).map_or(0, |bits| bits << rest);
                IpAddr::V6(bits.into())
            }
        };
        Ok(Prefix { address, bits })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Names of tables, as iproute2 knows them.
const TABLES: [(&str, u32); 3] = [("default", 253), ("main", 254), ("local", 255)];

/// The table that routes stand in unless another one is said.
pub(super) const MAIN: u32 = 254;

/// A table by its number, or its name if it has one.
pub(super) fn table(text: &str) -> Result<u32, String> {
    let named = TABLES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
    named
        .or_else(|| text.parse().ok())
        .filter(|number| *number != 0)
        .ok_or_else(|| format!("`{text}` is no table: a number from 1 on, `default`, `main` or `local`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let read = |text: &str| text.parse::<Prefix>().map(|prefix| prefix.to_string()).ok();
        assert_eq!(read("10.1.2.3/16").as_deref(), Some("10.1.0.0/16"));
        assert_eq!(read("fc00::1").as_deref(), Some("fc00::1/128"));
        assert_eq!(read("::/0").as_deref(), Some("::/0"));
        assert_eq!(read("1.2.3.4/0").as_deref(), Some("0.0.0.0/0"));
        for wrong in ["10.1.0.0/33", "fc00::/129", "10.1", "/8", "fc00::/-1", ""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn tables() {
        assert_eq!((table("main"), table("7")), (Ok(254), Ok(7)));
        assert!(table("0").is_err() && table("blue").is_err());
    }
}
