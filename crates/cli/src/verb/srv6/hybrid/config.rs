//! One end of hybrid access as a file describes it (TOML).

use super::{
    super::{
        prefix::{MAIN, Prefix, table},
        topology::Text,
    },
    spread::{LINKS, SEGMENTS},
};
use crate::failure::Failure;
use alveary_diag::{Diagnostic, Place};
use serde::{Deserialize, Deserializer, de::Error};
use std::{collections::BTreeSet, net::Ipv6Addr, ops::Range, path::Path};
use toml::Spanned;

/// The file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Config {
    /// Destination of the packets that are spread.
    pub(in super::super) to: Spanned<To>,
    /// The table of their route.
    #[serde(default)]
    pub(in super::super) table: Table,
    /// Source of what this end sends to measure links.
    pub(in super::super) source: Spanned<Ipv6Addr>,
    /// How often each link is measured, a second.
    #[serde(default = "often")]
    pub(in super::super) probes: Spanned<u32>,
    #[serde(default)]
    pub(in super::super) compensation: Compensation,
    pub(in super::super) link: Vec<Spanned<Link>>,
    /// Where it stands.
    #[serde(skip)]
    text: Option<Text>,
}

fn often() -> Spanned<u32> {
    Spanned::new(0..0, 20)
}

/// One of the links.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in super::super) struct Link {
    pub(in super::super) name: Spanned<String>,
    /// Its device at this end.
    pub(in super::super) dev: Spanned<String>,
    /// Its share of the bytes is its share of all weights: its rate.
    pub(in super::super) weight: Spanned<u32>,
    /// Segments by which packets go over it; the far end's that takes them off is the last.
    pub(in super::super) segments: Spanned<Vec<Ipv6Addr>>,
    /// The far end's segment that sends back what measures the link.
    pub(in super::super) far_monitor: Ipv6Addr,
    /// This end's, made by the daemon: for the far end's `far-monitor`.
    pub(in super::super) monitor: Ipv6Addr,
    /// This end's segment that takes headers off, made by the daemon: the last of the far end's `segments`.
    pub(in super::super) decapsulate: Ipv6Addr,
}

/// How the delays of links are made alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in super::super) enum Compensation {
    /// They stay as they are.
    #[default]
    None,
    /// Packets of faster links are told when to leave (EDT), and their devices' `fq` has them wait until then.
    Edt,
}

#[derive(Clone, Copy, Debug)]
pub(in super::super) struct To(pub(in super::super) Prefix);

impl<'de> Deserialize<'de> for To {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<To, D::Error> {
        String::deserialize(from)?.parse().map(To).map_err(D::Error::custom)
    }
}

#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Table(pub(in super::super) u32);

impl Default for Table {
    fn default() -> Self {
        Table(MAIN)
    }
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Table, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Said {
            Number(u32),
            Name(String),
        }
        match Said::deserialize(from)? {
            Said::Number(number) => table(&number.to_string()),
            Said::Name(name) => table(&name),
        }
        .map(Table)
        .map_err(D::Error::custom)
    }
}

impl Config {
    /// Reads a file.
    pub(super) fn open(path: &Path) -> Result<Config, Failure> {
        Config::read(&Text::open(path)?)
    }

    /// Reads what a file holds.
    pub(in super::super) fn read(text: &Text) -> Result<Config, Failure> {
        let mut config: Config = text.parse()?;
        config.text = Some(text.clone());
        config.check()?;
        Ok(config)
    }

    /// A place of it.
    pub(super) fn at(&self, bytes: Range<usize>) -> Place {
        self.text.as_ref().map_or(Place::Nowhere, |text| text.first_line(bytes))
    }

    fn check(&self) -> Result<(), Diagnostic> {
        let wrong = |message: &str, bytes: Range<usize>| Diagnostic::new("srv6", message.to_owned(), self.at(bytes));
        let to = self.to.get_ref().0;
        if to.address.is_ipv4() {
            return Err(wrong("packets of IPv4 are not spread", self.to.span()).found(to.to_string()));
        }
        if !(1..=1000).contains(self.probes.get_ref()) {
            return Err(wrong("links cannot be measured that often", self.probes.span())
                .expected("from 1 to 1000 times a second")
                .found(self.probes.get_ref().to_string()));
        }
        if self.link.is_empty() || self.link.len() > LINKS {
            let last = self.link.last().map_or(0..0, Spanned::span);
            return Err(wrong("packets cannot be spread over so many links", last)
                .expected(format!("from 1 to {LINKS}"))
                .found(self.link.len().to_string()));
        }
        let mut names = BTreeSet::new();
        for link in &self.link {
            let Link { weight, segments, name, .. } = link.get_ref();
            if !(1..=MOST_WEIGHT).contains(weight.get_ref()) {
                return Err(wrong("a link's weight", weight.span())
                    .expected(format!("from 1 to {MOST_WEIGHT}"))
                    .found(weight.get_ref().to_string()));
            }
            if !(1..=SEGMENTS).contains(&segments.get_ref().len()) {
                return Err(wrong("a link's segments", segments.span())
                    .expected(format!("from 1 to {SEGMENTS}"))
                    .found(segments.get_ref().len().to_string()));
            }
            if !names.insert(name.get_ref()) {
                return Err(wrong("two links have this name", name.span()).found(format!("`{}`", name.get_ref())));
            }
        }
        Ok(())
    }
}

/// Weights are multiplied by lengths of packets, a thousandfold.
const MOST_WEIGHT: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "to = \"2001:db8:b::/48\"\nsource = \"fc00:1::1\"\n\
        [[link]]\nname = \"dsl\"\ndev = \"dsl\"\nweight = 20\nsegments = [\"fc00:2:1::6\"]\n\
        far-monitor = \"fc00:2:1::d\"\nmonitor = \"fc00:1:1::d\"\ndecapsulate = \"fc00:1:1::6\"\n";

    fn read(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|why| why.message().to_owned())?;
        config.check().map_err(|why| why.message.to_string()).map(|()| config)
    }

    #[test]
    fn a_file_is_read() {
        let config = read(FILE).expect("a configuration");
        assert_eq!((*config.probes.get_ref(), config.compensation, config.table.0), (20, Compensation::None, 254));
        let table = |said| read(&format!("table = {said}\n{FILE}")).map(|config| config.table.0);
        assert_eq!((table("77"), table("\"local\"")), (Ok(77), Ok(255)));
        assert_eq!(*config.link[0].get_ref().weight.get_ref(), 20);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (from, to, message) in [
            ("weight = 20", "weight = 0", "a link's weight"),
            ("[\"fc00:2:1::6\"]", "[]", "a link's segments"),
            ("2001:db8:b::/48", "10.0.0.0/8", "packets of IPv4 are not spread"),
            ("weight = 20", "weight = 20\nspeed = 3", "unknown field `speed`"),
            ("source", "probes = 0\nsource", "links cannot be measured that often"),
        ] {
            let told = read(&FILE.replace(from, to)).expect_err("an error");
            assert!(told.starts_with(message), "{told}");
        }
        let twice = FILE.to_owned() + &FILE[FILE.find("[[").expect("a link")..];
        assert_eq!(read(&twice).expect_err("an error"), "two links have this name");
    }
}
