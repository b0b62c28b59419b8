//! The behaviours by name, with what each needs and takes: one table for what users say and for what is shown.

use super::prefix::table;
use alveary::net::seg6::MOST_SEGMENTS;
use alveary_diag::{Diagnostic, Place, did_you_mean};
use clap::{Args, ValueEnum};
use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A segment of this machine: `SEG6_LOCAL_ACTION_…`.
    Endpoint(u32),
    /// Packets are sent on a way of segments.
    Headend(Head),
    /// Programs see packets of the route.
    Hook(Hook),
}

/// Where packets get a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    Inline,
    Encap,
    L2Encap,
    EncapReduced,
    L2EncapReduced,
}

/// Where a route's program sees packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    In,
    Out,
    Xmit,
}

/// What can be said of a behaviour beside its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    Nh4,
    Nh6,
    Lookup,
    Vrf,
    Oif,
    Segments,
    Hmac,
    Program,
    Flavours,
    Counters,
}

/// A behaviour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// RFC 8986's name, or Linux's.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// One of each group has to be given.
    pub(super) needs: &'static [&'static [Parameter]],
    /// What may be given beside.
    takes: &'static [Parameter],
}

use Parameter::{Counters, Flavours, Hmac, Lookup, Nh4, Nh6, Oif, Program, Segments, Vrf};

const fn end(
    name: &'static str,
    action: u32,
    needs: &'static [&'static [Parameter]],
    takes: &'static [Parameter],
) -> Row {
    Row { name, kind: Kind::Endpoint(action), needs, takes }
}

const fn head(name: &'static str, head: Head) -> Row {
    Row { name, kind: Kind::Headend(head), needs: &[&[Segments]], takes: &[Hmac] }
}

const fn hook(name: &'static str, hook: Hook) -> Row {
    Row { name, kind: Kind::Hook(hook), needs: &[&[Program]], takes: &[] }
}

/// Action of End.BPF.
pub(super) const END_BPF: u32 = 15;

/// Every behaviour that Linux has.
pub(super) const ROWS: &[Row] = &[
    end("End", 1, &[], &[Flavours, Counters]),
    end("End.X", 2, &[&[Nh6]], &[Flavours, Counters]),
    end("End.T", 3, &[&[Lookup]], &[Counters]),
    end("End.DX2", 4, &[&[Oif]], &[Counters]),
    end("End.DX6", 5, &[&[Nh6]], &[Counters]),
    end("End.DX4", 6, &[&[Nh4]], &[Counters]),
    end("End.DT6", 7, &[&[Lookup, Vrf]], &[Counters]),
    end("End.DT4", 8, &[&[Vrf]], &[Counters]),
    end("End.DT46", 16, &[&[Vrf]], &[Counters]),
    end("End.B6", 9, &[&[Segments]], &[Hmac, Counters]),
    end("End.B6.Encaps", 10, &[&[Segments]], &[Hmac, Counters]),
    end("End.BPF", END_BPF, &[&[Program]], &[Counters]),
    head("H.Encaps", Head::Encap),
    head("H.Encaps.Red", Head::EncapReduced),
    head("H.L2Encaps", Head::L2Encap),
    head("H.L2Encaps.Red", Head::L2EncapReduced),
    head("H.Insert", Head::Inline),
    hook("lwt_in", Hook::In),
    hook("lwt_out", Hook::Out),
    hook("lwt_xmit", Hook::Xmit),
];

/// What a behaviour is told.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What the behaviour needs")]
pub(super) struct Parameters {
    /// The next hop: End.X, End.DX6 (`::`: to where the packet inside goes)
    #[arg(long, value_name = "ADDR")]
    pub(super) nh6: Option<Ipv6Addr>,

    /// The next hop: End.DX4 (0.0.0.0: to where the packet inside goes)
    #[arg(long, value_name = "ADDR")]
    pub(super) nh4: Option<Ipv4Addr>,

    /// The table that packets are looked up in: End.T, End.DT6
    #[arg(long, value_name = "TABLE", value_parser = table)]
    pub(super) lookup: Option<u32>,

    /// The table of a VRF: End.DT4, End.DT6, End.DT46
    #[arg(long, value_name = "TABLE", value_parser = table)]
    pub(super) vrf: Option<u32>,

    /// The device that frames leave by: End.DX2
    #[arg(long, value_name = "IF")]
    pub(super) oif: Option<String>,

    /// The segments, the first to be visited first: End.B6, End.B6.Encaps, H.Encaps …
    #[arg(long, value_name = "ADDR,…", value_delimiter = ',')]
    pub(super) segments: Vec<Ipv6Addr>,

    /// Number of the key that the header is signed with
    #[arg(long, value_name = "KEY", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) hmac: Option<u32>,

    /// What an endpoint does beside: psp, usp, usd, next-csid
    #[arg(long, value_name = "FLAVOUR,…", value_delimiter = ',', value_enum)]
    pub(super) flavours: Vec<Flavour>,

    /// Bits of the block that all compressed segments share, with next-csid; by default 32
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u8).range(1..128))]
    pub(super) block_bits: Option<u8>,

    /// Bits of a compressed segment, with next-csid; by default 16
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u8).range(1..128))]
    pub(super) node_bits: Option<u8>,

    /// Count packets, bytes and errors
    #[arg(long)]
    pub(super) counters: bool,
}

/// What an endpoint does beside its action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Flavour {
    /// The last but one segment takes the header out
    Psp,
    /// The last segment takes the header out
    Usp,
    /// The last segment takes the outer headers away
    Usd,
    /// Segments are shifted inside the destination address (RFC 9800)
    NextCsid,
}

impl Flavour {
    pub(super) const ALL: [Flavour; 4] = [Flavour::Psp, Flavour::Usp, Flavour::Usd, Flavour::NextCsid];

    pub(super) fn name(self) -> &'static str {
        match self {
            Flavour::Psp => "psp",
            Flavour::Usp => "usp",
            Flavour::Usd => "usd",
            Flavour::NextCsid => "next-csid",
        }
    }
}

impl Parameters {
    fn has(&self, parameter: Parameter, program: bool) -> bool {
        match parameter {
            Nh4 => self.nh4.is_some(),
            Nh6 => self.nh6.is_some(),
            Lookup => self.lookup.is_some(),
            Vrf => self.vrf.is_some(),
            Oif => self.oif.is_some(),
            Segments => !self.segments.is_empty(),
            Hmac => self.hmac.is_some(),
            Program => program,
            Flavours => !self.flavours.is_empty(),
            Counters => self.counters,
        }
    }

    /// Says what lacks, and what the behaviour does not take.
    pub(super) fn check(&self, row: &Row, program: bool) -> Result<(), Diagnostic> {
        let wrong = |message: String| Diagnostic::new("srv6-behaviour", message, Place::Nowhere);
        for group in row.needs {
            if !group.iter().any(|parameter| self.has(*parameter, program)) {
                let names: Vec<String> = group.iter().map(ToString::to_string).collect();
                return Err(wrong(format!("{} lacks {}", row.name, names.join(" or "))).expected(row.to_string()));
            }
        }
        let known = |parameter: Parameter| {
            row.takes.contains(&parameter) || row.needs.iter().any(|group| group.contains(&parameter))
        };
        let all = [Nh4, Nh6, Lookup, Vrf, Oif, Segments, Hmac, Program, Flavours, Counters];
        if let Some(odd) = all.into_iter().find(|one| self.has(*one, program) && !known(*one)) {
            return Err(wrong(format!("{} does not take {odd}", row.name)).expected(row.to_string()));
        }
        if row.needs.iter().any(|group| group.iter().filter(|one| self.has(**one, program)).count() > 1) {
            return Err(wrong(format!("{} takes one table", row.name)).expected(row.to_string()));
        }
        if self.segments.len() > MOST_SEGMENTS {
            return Err(wrong("no header holds so many segments".into())
                .expected(format!("at most {MOST_SEGMENTS}"))
                .found(self.segments.len().to_string()));
        }
        let compressed = self.flavours.contains(&Flavour::NextCsid);
        if !compressed && (self.block_bits.is_some() || self.node_bits.is_some()) {
            return Err(wrong("the parts of an address are said of compressed segments alone".into())
                .help("say `next-csid` among the flavours"));
        }
        Ok(())
    }
}

impl Row {
    /// The behaviour of this name.
    pub(super) fn named(name: &str) -> Result<&'static Row, Diagnostic> {
        if let Some(row) = ROWS.iter().find(|row| row.name.eq_ignore_ascii_case(name)) {
            return Ok(row);
        }
        let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        let why = Diagnostic::new("srv6-behaviour", format!("there is no behaviour `{name}`"), Place::Nowhere)
            .expected(format!("one of {}", names.join(", ")));
        Err(match did_you_mean(name, names) {
            Some(near) => why.help(format!("did you mean `{near}`?")),
            None => why,
        })
    }

    /// The behaviour of this kind.
    pub(super) fn of(kind: Kind) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.kind == kind)
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Nh4 => "a next hop (nh4)",
            Nh6 => "a next hop (nh6)",
            Lookup => "a table (lookup)",
            Vrf => "the table of a VRF (vrf)",
            Oif => "a device (oif)",
            Segments => "segments",
            Hmac => "a key (hmac)",
            Program => "a program",
            Flavours => "flavours",
            Counters => "counters",
        })
    }
}

/// What it needs and takes, as a sentence.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups =
            self.needs.iter().map(|group| group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "));
        let takes = self.takes.iter().map(|one| format!("perhaps {one}"));
        let all: Vec<String> = groups.chain(takes).collect();
        write!(f, "{}", self.name)?;
        if all.is_empty() { Ok(()) } else { write!(f, " with {}", all.join(", ")) }
    }
}
