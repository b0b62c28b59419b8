//! A classic filter in tcpdump's notation, or as the eBPF program that Linux makes of it.

use super::listing::{Listing, Look};
use crate::{classic::Classic, failure::Failure, output};
use alveary_isa::cbpf::{SockFilter, print};
use serde_json::{Value, json};
use std::path::Path;

pub(super) fn run(file: &Path, look: Look, ebpf: bool, as_json: bool) -> Result<(), Failure> {
    let classic = Classic::read(file)?;
    if ebpf {
        let listing = Listing::of_filter(classic.translated()?);
        return if as_json { output::object(&listing) } else { output::write(|out| listing.write(look, out)) };
    }
    let insns = classic.filter.insns();
    if as_json {
        let insns: Vec<Value> = insns.iter().zip(print(insns).to_string().lines()).map(insn).collect();
        return output::object(&json!({ "insns": insns }));
    }
    output::write(|out| write!(out, "{}", print(insns)))
}

fn insn((insn, text): (&SockFilter, &str)) -> Value {
    json!({ "code": insn.code, "jt": insn.jt, "jf": insn.jf, "k": insn.k, "text": text })
}
