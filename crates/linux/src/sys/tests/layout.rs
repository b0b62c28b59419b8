//! Every struct that we pass, held against the running kernel's BTF.

use crate::sys::explain;
use alveary_abi::Version;
use alveary_btf::{Btf, Composite, Kind, Type};
use std::fs;

/// A struct that the kernel's BTF describes: its place there, and its fields with offset and size. Fields that begin
/// with `_` are none of the kernel's.
pub(crate) trait Described {
    const PATH: &'static str;
    const FIELDS: &'static [(&'static str, usize, usize)];
}

/// The member of that name, also inside unnamed structs and unions: its first byte, its type, its size. Of the unnamed
/// structs of a union the one that has a member `beside` is meant.
fn member<'a>(btf: &'a Btf, of: Composite<'a>, name: &str, beside: &str) -> Option<(usize, Type<'a>, usize)> {
    for m in of.members() {
        let at = m.bit_offset as usize / 8;
        if m.name == name {
            return Some((at, btf.resolved(m.ty), btf.size_of(m.ty)? as usize));
        }
        let ("", Type::Struct(inner) | Type::Union(inner)) = (m.name, btf.resolved(m.ty)) else { continue };
        if (beside.is_empty() || member(btf, inner, beside, "").is_some())
            && let Some((offset, ty, size)) = member(btf, inner, name, "")
        {
            return Some((at + offset, ty, size));
        }
    }
    None
}

fn check<T: Described>(btf: &Btf) {
    let mut path = T::PATH.split('.');
    let root = path.next().expect("a name");
    let id = btf.find(root, Kind::Struct).or_else(|| btf.find(root, Kind::Union));
    let Some(id) = id else {
        assert!(explain::running() < Some(Version::NEWEST), "this kernel has no {root}");
        return;
    };
    let mut ty = btf.resolved(id);
    for name in path {
        let (Type::Struct(of) | Type::Union(of)) = ty else { panic!("{}: no struct before {name}", T::PATH) };
        ty = member(btf, of, name, "").unwrap_or_else(|| panic!("{}: no {name}", T::PATH)).1;
    }
    let (Type::Struct(of) | Type::Union(of)) = ty else { panic!("{} is no struct", T::PATH) };
    let named = || T::FIELDS.iter().filter(|(name, ..)| !name.starts_with('_'));
    // `union bpf_attr` has most commands' structs without a name.
    let first = named().next().filter(|_| !T::PATH.contains('.')).map_or("", |(name, ..)| name);
    for (name, at, size) in named() {
        let name = name.trim_start_matches("r#");
        let found = member(btf, of, name, first);
        let Some((offset, _, bytes)) = found else {
            // A kernel that is older than the struct does not know its last fields.
            assert!(explain::running() < Some(Version::NEWEST), "{}: this kernel has no {name}", T::PATH);
            continue;
        };
        assert_eq!((offset, bytes), (*at, *size), "{}: {name} (its first byte, its size)", T::PATH);
    }
}

macro_rules! check_all {
    ($btf:expr; $($path:ident::{$($name:ident),* $(,)?})*) => { $($(check::<$path::$name>($btf);)*)* };
}

#[test]
fn the_kernel_lays_them_out_so() {
    let Ok(bytes) = fs::read("/sys/kernel/btf/vmlinux") else {
        eprintln!("SKIP the_kernel_lays_them_out_so: this kernel has no BTF");
        return;
    };
    let btf = Btf::read(&bytes, None).expect("the kernel's BTF");
    use crate::sys::{
        attr,
        info::{link, prog as prog_info, simple},
        prog,
    };
    check_all! { &btf;
        attr::{
            MapCreateAttr, ElementAttr, BatchAttr, ProgLoadAttr, ObjectAttr, ProgAttachAttr, TestRunAttr, IdAttr, InfoAttr,
            ProgQueryAttr, RawTracepointAttr, BtfLoadAttr, TaskFdAttr, LinkCreateAttr, IterAttr, PerfEventAttr,
            KprobeMultiAttr, TracingAttr, NetfilterAttr, OrderAttr, UprobeMultiAttr, LinkUpdateAttr, LinkDetachAttr,
            EnableStatsAttr, IterCreateAttr, BindMapAttr, TokenCreateAttr, StreamReadAttr, IterMapInfo, IterCgroupInfo,
            IterTaskInfo,
        }
        prog::{FuncRecord, LineRecord}
        prog_info::{RawProg}
        simple::{RawMap, RawBtf, RawToken}
        link::{
            RawLink, RawTracepoint, RawTracing, RawCgroup, RawIter, RawNetns, RawXdp, RawStructOps, RawNetfilter,
            RawKprobeMulti, RawUprobeMulti, RawPerf, RawUprobe, RawKprobe, RawPerfTracepoint, RawEvent, RawDevice,
            RawSockmap,
        }
    }
}
