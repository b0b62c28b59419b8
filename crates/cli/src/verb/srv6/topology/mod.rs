//! A router as a file describes it (TOML): its interfaces, its routes, its neighbours. What is wrong is said with its
//! place.
//!
//! | file | holds |
//! |---|---|
//! | `target` | what the file's routes are to a router |
//! | `keys` | its keys |
//! | `programs` | programs of its routes, loaded |
//! | `network` | several routers, hosts, and links between |
//! | `units` | rates, times and shares |

pub(super) mod keys;
pub(super) mod network;
pub(super) mod programs;
pub(super) mod target;
mod units;

use super::{
    behaviour::{Flavour, Parameters},
    prefix::Prefix,
};
use crate::{failure::Failure, files};
use alveary::net::seg6::Require;
use alveary_diag::{Diagnostic, Place};
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny},
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Range,
    path::Path,
    sync::Arc,
};
use toml::Spanned;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Topology {
    /// Source of what is encapsulated, and of messages to senders.
    #[serde(default = "nowhere")]
    pub(super) source: Ipv6Addr,
    pub(super) interface: Vec<Spanned<Interface>>,
    #[serde(default)]
    pub(super) route: Vec<Spanned<Route>>,
    /// Ethernet addresses of next hops.
    #[serde(default)]
    pub(super) neighbour: BTreeMap<IpAddr, Mac>,
    /// Keys that headers are signed with and checked.
    #[serde(default)]
    pub(super) hmac: Vec<Spanned<keys::Described>>,
    /// What it is called among several.
    pub(super) name: Option<Spanned<String>>,
}

fn nowhere() -> Ipv6Addr {
    Ipv6Addr::UNSPECIFIED
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Interface {
    pub(super) name: String,
    /// The longest packet that it takes.
    pub(super) mtu: Option<u32>,
    pub(super) mac: Option<Mac>,
    /// What is asked of HMACs of packets that come in by it.
    #[serde(default, rename = "require-hmac")]
    pub(super) require: Asked,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Route {
    pub(super) to: To,
    #[serde(default)]
    pub(super) table: Option<u32>,
    /// A behaviour, or `local`, `blackhole`, `unreachable`, `prohibit`; without one packets go by `dev` or `ways`.
    pub(super) behaviour: Option<String>,
    pub(super) dev: Option<String>,
    pub(super) via: Option<IpAddr>,
    #[serde(default)]
    pub(super) ways: Vec<Way>,
    /// `OBJ` or `OBJ:PROG`; the object's path counts from the file's directory.
    pub(super) program: Option<String>,
    nh4: Option<Ipv4Addr>,
    nh6: Option<Ipv6Addr>,
    lookup: Option<u32>,
    vrf: Option<u32>,
    oif: Option<String>,
    #[serde(default)]
    segments: Vec<Ipv6Addr>,
    hmac: Option<u32>,
    #[serde(default)]
    flavours: Vec<Flavour>,
    block_bits: Option<u8>,
    node_bits: Option<u8>,
}

/// One of several ways.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Way {
    pub(super) dev: String,
    pub(super) via: Option<IpAddr>,
    /// Its share of the flows.
    #[serde(default = "one")]
    pub(super) weight: u32,
}

fn one() -> u32 {
    1
}

impl Route {
    /// What is said of its behaviour.
    pub(super) fn parameters(&self) -> Parameters {
        Parameters {
            nh4: self.nh4,
            nh6: self.nh6,
            lookup: self.lookup,
            vrf: self.vrf,
            oif: self.oif.clone(),
            segments: self.segments.clone(),
            hmac: self.hmac,
            flavours: self.flavours.clone(),
            block_bits: self.block_bits,
            node_bits: self.node_bits,
            ..Parameters::default()
        }
    }
}

/// A destination.
#[derive(Debug)]
pub(super) struct To(pub(super) Prefix);

impl<'de> Deserialize<'de> for To {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<To, D::Error> {
        String::deserialize(from)?.parse().map(To).map_err(D::Error::custom)
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mac(pub(super) [u8; 6]);

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Mac, D::Error> {
        let text = String::deserialize(from)?;
        let bytes: Option<Vec<u8>> = text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
        let bytes = bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
        bytes.map(Mac).ok_or_else(|| D::Error::custom(format!("`{text}` is no Ethernet address, as 02:00:00:00:00:01")))
    }
}

/// What is asked of HMACs, as Linux's `seg6_require_hmac` says it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked(pub(super) Require);

impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Asked, D::Error> {
        match i64::deserialize(from)? {
            -1 => Ok(Asked(Require::Nothing)),
            0 => Ok(Asked(Require::Right)),
            1 => Ok(Asked(Require::Present)),
            other => Err(D::Error::custom(format!(
                "`{other}` says nothing of HMACs: -1 (not looked at), 0 (right where there is one), 1 (there is one)"
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for Flavour {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Flavour, D::Error> {
        let text = String::deserialize(from)?;
        let known = Flavour::ALL.into_iter().find(|one| one.name() == text);
        known.ok_or_else(|| {
            let names = Flavour::ALL.map(Flavour::name).join(", ");
            D::Error::custom(format!("`{text}` is no flavour: {names}"))
        })
    }
}

/// Something that is wrong with it.
pub(super) fn wrong(message: impl Into<String>, at: Place) -> Diagnostic {
    Diagnostic::new("topology", message.into(), at)
}

/// What a file describes.
pub(super) enum Described {
    Router(Topology),
    Network(network::Described),
}

/// A file's text, to say what is wrong where.
#[derive(Clone, Debug)]
pub(super) struct Text {
    file: Arc<str>,
    text: Arc<str>,
}

impl Text {
    /// Reads a file: of several routers, if it has a table `router`.
    pub(super) fn read(path: &Path) -> Result<(Text, Described), Failure> {
        #[derive(Deserialize)]
        struct Several {
            router: Option<IgnoredAny>,
        }
        let text = Text::open(path)?;
        let several = text.parse::<Several>()?.router.is_some();
        let described = if several { Described::Network(text.parse()?) } else { Described::Router(text.parse()?) };
        if let Described::Router(Topology { name: Some(name), .. }) = &described {
            return Err(wrong("a router that is alone needs no name", text.at(name.span()))
                .help("several are described by `[[router]]`")
                .into());
        }
        Ok((text, described))
    }

    /// A file, not yet understood.
    pub(super) fn open(path: &Path) -> Result<Text, Failure> {
        Ok(Text::new(&path.display().to_string(), &files::text(path)?))
    }

    /// What is as if it were a file.
    pub(super) fn new(file: &str, text: &str) -> Text {
        Text { file: file.into(), text: text.into() }
    }

    /// What it describes.
    pub(super) fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, Diagnostic> {
        toml::from_str(&self.text).map_err(|why| {
            let at = self.at(why.span().unwrap_or(0..0));
            wrong(why.message().to_owned(), at)
        })
    }

    /// A place of it.
    pub(super) fn at(&self, bytes: Range<usize>) -> Place {
        let bytes = bytes.start as u32..bytes.end as u32;
        Place::Text { file: self.file.clone(), text: self.text.clone(), bytes }
    }

    /// What a key of a table is set to, as far as it stands on the key's line; the table's first line if there is none.
    pub(super) fn value(&self, table: Range<usize>, key: &str) -> Place {
        let mut at = table.start;
        let body = self.text.get(at..).unwrap_or_default().split_inclusive('\n');
        for (number, line) in body.enumerate() {
            let said = line.trim_start();
            // Another table begins.
            if number > 0 && said.starts_with('[') {
                break;
            }
            let value = said.strip_prefix(key).and_then(|said| said.trim_start().strip_prefix('='));
            if let Some(value) = value.filter(|_| !key.is_empty()) {
                let start = at + line.len() - value.trim_start().len();
                return self.at(start..start + value.trim().len());
            }
            at += line.len();
        }
        self.first_line(table)
    }

    /// The first line of a table, without what is behind it.
    pub(super) fn first_line(&self, bytes: Range<usize>) -> Place {
        let inside = self.text.get(bytes.clone()).unwrap_or_default();
        let line = inside.lines().next().map_or(0, str::len);
        self.at(bytes.start..bytes.start + line)
    }
}
