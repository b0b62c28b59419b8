//! What a filter says: `tcp and src net 198.51.100.0/24 and (dst portrange 8000-8080 or verdict dropped)`. Words are
//! tcpdump's where it has them; `vip`, `real`, `verdict` are a balancer's own.

use crate::wire::{FIRST_DROP, VERDICTS};
use alveary_diag::{Diagnostic, Place};
use std::{net::IpAddr, ops::Range};

/// A filter, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of these; every packet, if there are none.
    All(Vec<Filter>),
    /// Any of these.
    Any(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// One thing that is asked of a packet, and where the filter says so.
    Test(Test, Range<usize>),
}

/// Whose address or port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The packet's source.
    Source,
    /// Its destination.
    Destination,
}

/// One thing that is asked of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// An address in a prefix.
    Address(Side, IpAddr, u8),
    /// A port in a range.
    Port(Side, u16, u16),
    /// The protocol; of ICMP in both families 1.
    Protocol(u8),
    /// The version of IP.
    Version(u8),
    /// The length of the frame, in a range.
    Length(u16, u16),
    /// A VIP, by address and by port if that is said.
    Vip(IpAddr, Option<u16>),
    /// A real, by address.
    Real(IpAddr),
    /// What became of the packet: from one verdict to another, by number.
    Verdict(u32, u32),
}

/// Verdicts that have one name together.
const FAMILIES: [(&str, u32, u32); 4] = [
    ("passed", 0, 5),
    ("answered", 8, 10),
    ("malformed", FIRST_DROP as u32, 15),
    ("dropped", FIRST_DROP as u32, VERDICTS.len() as u32 - 1),
];
const ICMP: u8 = 1;
/// The same in IPv6's own numbers.
const ICMPV6: u8 = 58;
/// Parentheses and negations within each other.
const DEEPEST: usize = 64;

impl Filter {
    /// Reads a filter. An empty one takes every packet.
    ///
    /// # Errors
    /// The first thing that is wrong with it, and where.
    pub fn read(text: &str) -> Result<Filter, Diagnostic> {
        let mut parser = Parser { text, words: words(text), at: 0, last: None, depth: 0 };
        if parser.words.is_empty() {
            return Ok(Filter::All(Vec::new()));
        }
        let filter = parser.any()?;
        match parser.peek() {
            None => Ok(filter),
            Some(")") => Err(parser.wrong("this parenthesis closes none", "the end of the filter")),
            Some(_) => Err(parser.wrong("the filter goes on without `and` or `or`", "`and`, `or`, or the end")),
        }
    }
}

/// A diagnostic about a place of a filter.
pub(super) fn wrong(text: &str, place: &Range<usize>, message: impl Into<String>) -> Diagnostic {
    let bytes = place.start as u32..place.end as u32;
    Diagnostic::new("lb-filter", message.into(), Place::Text { file: "filter".into(), text: text.into(), bytes })
}

/// The words of a text with their places; parentheses and `!`, `&&`, `||` are words of their own.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let end = at + c.len_utf8();
        match c {
            c if c.is_whitespace() => open = false,
            '(' | ')' | '!' => {
                words.push(at..end);
                open = false;
            }
            '&' | '|' => {
                let two = chars.next_if(|(_, next)| *next == c).is_some();
                words.push(at..end + usize::from(two));
                open = false;
            }
            _ => {
                match words.last_mut().filter(|_| open) {
                    Some(last) => last.end = end,
                    None => words.push(at..end),
                }
                open = true;
            }
        }
    }
    words
}

/// What a value is of, said before it: `port 80 or 443` asks for two ports.
#[derive(Clone, Copy)]
struct Kind {
    side: Option<Side>,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Address,
    Net,
    Port,
    Ports,
    Vip,
    Real,
    Verdict,
    Protocol,
    Less,
    Greater,
}

struct Parser<'t> {
    text: &'t str,
    words: Vec<Range<usize>>,
    at: usize,
    last: Option<Kind>,
    depth: usize,
}

type Read<T> = Result<T, Diagnostic>;

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t str> {
        self.words.get(self.at).map(|place| &self.text[place.clone()])
    }

    fn place(&self) -> Range<usize> {
        self.words.get(self.at).cloned().unwrap_or(self.text.len()..self.text.len())
    }

    /// The next word is not what is expected.
    fn wrong(&self, message: &str, expected: &str) -> Diagnostic {
        let found = self.peek().map_or_else(|| "the end of the filter".into(), |word| format!("`{word}`"));
        wrong(self.text, &self.place(), message.to_owned()).expected(expected).found(found)
    }

    fn skip(&mut self, words: &[&str]) -> bool {
        let is = self.peek().is_some_and(|word| words.contains(&word));
        self.at += usize::from(is);
        is
    }

    fn any(&mut self) -> Read<Filter> {
        let mut parts = vec![self.all()?];
        while self.skip(&["or", "||"]) {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::Any(parts) })
    }

    fn all(&mut self) -> Read<Filter> {
        let mut parts = vec![self.not()?];
        while self.skip(&["and", "&&"]) {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::All(parts) })
    }

    fn not(&mut self) -> Read<Filter> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong("the filter is nested too deeply", &format!("at most {DEEPEST} levels")));
        }
        let filter = if self.skip(&["not", "!"]) {
            Filter::Not(Box::new(self.not()?))
        } else if self.peek() == Some("(") {
            let opens = self.place();
            self.at += 1;
            let inner = self.any()?;
            if !self.skip(&[")"]) {
                let expected = match self.peek() {
                    None => return Err(wrong(self.text, &opens, "this parenthesis is not closed").expected("`)`")),
                    Some(_) => "`and`, `or`, or `)`",
                };
                return Err(self.wrong("the filter goes on without `and` or `or`", expected));
            }
            inner
        } else {
            self.primitive()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    /// `[tcp|udp|…] [src|dst] [host|net|port|portrange|vip|real|verdict|…] VALUE`
    fn primitive(&mut self) -> Read<Filter> {
        let start = self.place();
        let mut parts = Vec::new();
        if let Some(protocol) = self.peek().and_then(protocol) {
            self.at += 1;
            parts.extend(protocol.into_iter().map(|test| Filter::Test(test, start.clone())));
            // `tcp port 80`, but also `tcp` alone.
            if !self.peek().is_some_and(qualifies) {
                return Ok(group(parts));
            }
        }
        let side = match self.peek() {
            Some("src") => Some(Side::Source),
            Some("dst") => Some(Side::Destination),
            _ => None,
        };
        self.at += usize::from(side.is_some());
        let what = self.peek().and_then(what);
        let kind = match (what, side) {
            (Some(what), _) => {
                if side.is_some() && !matches!(what, What::Address | What::Net | What::Port | What::Ports) {
                    return Err(
                        self.wrong("this has no source and no destination", "`host`, `net`, `port`, `portrange`")
                    );
                }
                self.at += 1;
                Kind { side, what }
            }
            (None, Some(_)) => Kind { side, what: What::Address },
            (None, None) => {
                let is_address = self.peek().is_some_and(|word| prefix(word).is_some());
                let begins = |c: char| c.is_ascii_digit() || c == '[';
                let is_value = is_address || self.peek().is_some_and(|word| word.starts_with(begins));
                match self.last {
                    Some(last) if is_value || last.what == What::Verdict && self.is_verdict() => last,
                    _ if is_address => Kind { side: None, what: What::Address },
                    _ => return Err(self.unknown()),
                }
            }
        };
        self.last = Some(kind);
        let place = self.place();
        let value = self.value(kind)?;
        self.at += 1;
        let of = |side: Side| match value {
            Test::Address(_, address, bits) => Test::Address(side, address, bits),
            Test::Port(_, first, last) => Test::Port(side, first, last),
            ref other => other.clone(),
        };
        let test = |test: Test| Filter::Test(test, start.start..place.end);
        parts.push(match (&value, kind.side) {
            (Test::Address(..) | Test::Port(..), None) => {
                Filter::Any(vec![test(of(Side::Source)), test(of(Side::Destination))])
            }
            (Test::Protocol(ICMPV6), _) => group(protocol("icmp6").into_iter().flatten().map(test).collect()),
            (_, side) => test(of(side.unwrap_or(Side::Source))),
        });
        Ok(group(parts))
    }

    fn is_verdict(&self) -> bool {
        self.peek().is_some_and(|word| verdict(word).is_some())
    }

    /// What stands where something to ask is expected.
    fn unknown(&self) -> Diagnostic {
        let Some(word) = self.peek() else {
            return self.wrong("the filter ends where something to ask is expected", "`host`, `port`, `vip`, …");
        };
        let known = "tcp, udp, icmp, icmp6, ip, ip6, proto; src, dst, host, net, port, portrange; less, greater; vip, real, \
                     verdict";
        let wrong = self.wrong("this is nothing that can be asked of a packet", known);
        match word {
            "ether" | "vlan" | "arp" | "rarp" | "mpls" | "gateway" | "broadcast" | "multicast" => {
                wrong.help("Ethernet is not asked for; packets that are not IP have `verdict not-ip`")
            }
            _ if word.contains('[') => {
                wrong.help("bytes of packets are not asked for: record more, and filter the file")
            }
            _ if verdict(word).is_some() => wrong.help(format!("verdict {word}")),
            _ => wrong,
        }
    }

    fn value(&self, kind: Kind) -> Read<Test> {
        let word = self.peek().unwrap_or_default();
        let side = Side::Source;
        let length =
            |expected: &str| word.parse::<u16>().map_err(|_| self.wrong("this is no length of a frame", expected));
        match kind.what {
            What::Address | What::Net => {
                let (address, bits) = prefix(word).ok_or_else(|| {
                    self.wrong("this is no address", "an address or a prefix: 198.51.100.7, 2001:db8::/32")
                })?;
                let host = host_bits(address, bits);
                if host {
                    let wrong = self.wrong("this prefix has bits behind its length", "zeros there");
                    return Err(wrong.help(format!("{}/{bits}, or a longer prefix", cut(address, bits))));
                }
                Ok(Test::Address(side, address, bits))
            }
            What::Port | What::Ports => {
                let (first, last) = word.split_once('-').unwrap_or((word, word));
                let numbers = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
                match numbers {
                    Some((first, last)) if first <= last => Ok(Test::Port(side, first, last)),
                    _ => Err(self.wrong("this is no port", "a number from 0 to 65535, or a range of them: 8000-8080")),
                }
            }
            What::Protocol => {
                let number = word.parse::<u8>();
                number.map(Test::Protocol).map_err(|_| self.wrong("this is no protocol", "a number from 0 to 255"))
            }
            What::Less => Ok(Test::Length(0, length("bytes of the longest frame, from 0 to 65535")?)),
            What::Greater => Ok(Test::Length(length("bytes of the shortest frame, from 0 to 65535")?, u16::MAX)),
            What::Vip => {
                let (address, port) = with_port(word)
                    .ok_or_else(|| self.wrong("this is no VIP", "its address, or address:port: 192.0.2.1:443"))?;
                Ok(Test::Vip(address, port))
            }
            What::Real => match word.parse() {
                Ok(address) => Ok(Test::Real(address)),
                Err(_) => Err(self.wrong("this is no real", "its address")),
            },
            What::Verdict => match verdict(word) {
                Some((first, last)) => Ok(Test::Verdict(first, last)),
                None => {
                    let families = FAMILIES.iter().map(|(name, ..)| *name);
                    let names: Vec<&str> = families.chain(VERDICTS.iter().map(|(name, _)| *name)).collect();
                    Err(self.wrong("there is no such verdict", &names.join(", ")))
                }
            },
        }
    }
}

fn group(mut parts: Vec<Filter>) -> Filter {
    if parts.len() == 1 { parts.remove(0) } else { Filter::All(parts) }
}

fn protocol(word: &str) -> Option<Vec<Test>> {
    Some(match word {
        "tcp" => vec![Test::Protocol(6)],
        "udp" => vec![Test::Protocol(17)],
        "icmp" => vec![Test::Protocol(ICMP), Test::Version(4)],
        "icmp6" => vec![Test::Protocol(ICMP), Test::Version(6)],
        "ip" => vec![Test::Version(4)],
        "ip6" => vec![Test::Version(6)],
        _ => return None,
    })
}

fn what(word: &str) -> Option<What> {
    Some(match word {
        "host" => What::Address,
        "net" => What::Net,
        "port" => What::Port,
        "portrange" => What::Ports,
        "vip" => What::Vip,
        "real" => What::Real,
        "verdict" => What::Verdict,
        "proto" => What::Protocol,
        "less" => What::Less,
        "greater" => What::Greater,
        _ => return None,
    })
}

/// Whether a word goes on with what a protocol began.
fn qualifies(word: &str) -> bool {
    word == "src" || word == "dst" || what(word).is_some()
}

fn verdict(word: &str) -> Option<(u32, u32)> {
    let family = FAMILIES.iter().find(|(name, ..)| *name == word).map(|(_, first, last)| (*first, *last));
    let number = || VERDICTS.iter().position(|(name, _)| *name == word).map(|at| (at as u32, at as u32));
    family.or_else(number)
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn prefix(word: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match word.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (word, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let bits = bits.unwrap_or(width(address));
    (bits <= width(address)).then_some((address, bits))
}

/// An address without what is behind a prefix of it.
fn cut(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(four) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            std::net::Ipv4Addr::from_bits(four.to_bits() & mask).into()
        }
        IpAddr::V6(six) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            std::net::Ipv6Addr::from_bits(six.to_bits() & mask).into()
        }
    }
}

fn host_bits(address: IpAddr, bits: u8) -> bool {
    cut(address, bits) != address
}

/// `ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]:PORT`.
fn with_port(word: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(address) = word.parse() {
        return Some((address, None));
    }
    let at: std::net::SocketAddr = word.parse().ok()?;
    Some((at.ip(), Some(at.port())))
}
