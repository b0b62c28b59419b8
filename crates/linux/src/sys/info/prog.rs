//! Programs: what they are, and as much of their code, functions and lines as is wanted.

use super::get;
use crate::sys::{
    Result,
    attr::{ObjName, layout},
    call::{address_mut, text},
    prog::{FuncRecord, LineRecord},
};
use alveary_abi::ProgType;
use alveary_btf::{FuncInfo, LineInfo, TypeId};
use std::os::fd::BorrowedFd;

layout! { pub(in crate::sys) RawProg at "bpf_prog_info" {
    r#type: u32,
    id: u32,
    tag: [u8; 8],
    jited_prog_len: u32,
    xlated_prog_len: u32,
    jited_prog_insns: u64,
    xlated_prog_insns: u64,
    load_time: u64,
    created_by_uid: u32,
    nr_map_ids: u32,
    map_ids: u64,
    name: ObjName,
    ifindex: u32,
    gpl_compatible: u32,
    netns_dev: u64,
    netns_ino: u64,
    nr_jited_ksyms: u32,
    nr_jited_func_lens: u32,
    jited_ksyms: u64,
    jited_func_lens: u64,
    btf_id: u32,
    func_info_rec_size: u32,
    func_info: u64,
    nr_func_info: u32,
    nr_line_info: u32,
    line_info: u64,
    jited_line_info: u64,
    nr_jited_line_info: u32,
    line_info_rec_size: u32,
    jited_line_info_rec_size: u32,
    nr_prog_tags: u32,
    prog_tags: u64,
    run_time_ns: u64,
    run_cnt: u64,
    recursion_misses: u64,
    verified_insns: u32,
    attach_btf_obj_id: u32,
    attach_btf_id: u32,
    _end: u32,
} }

/// Which parts of a program's description are wanted beside what is always told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgParts {
    /// Ids of its maps.
    pub maps: bool,
    /// Its instructions as the verifier left them, with their functions, lines and tags.
    pub xlated: bool,
    /// Its machine code, with its functions' addresses and lengths, and the lines of the code.
    pub jited: bool,
}

impl ProgParts {
    /// Everything.
    pub const ALL: ProgParts = ProgParts { maps: true, xlated: true, jited: true };
    /// The ids of its maps.
    pub const MAPS: ProgParts = ProgParts { maps: true, xlated: false, jited: false };
}

/// A program, as the kernel describes it. Lengths are told always; lists are empty unless they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub struct ProgInfo {
    /// Its type.
    pub ty: ProgType,
    pub id: u32,
    /// The hash of its instructions.
    pub tag: [u8; 8],
    /// Its name: at most 15 bytes.
    pub name: String,
    /// When it was loaded, in ns since boot.
    pub load_time: u64,
    pub created_by_uid: u32,
    pub gpl_compatible: bool,
    /// Bytes of its instructions.
    pub xlated_len: u32,
    /// Bytes of its machine code; 0 if it is interpreted.
    pub jited_len: u32,
    pub map_count: u32,
    pub map_ids: Vec<u32>,
    /// Its instructions; `None` if the kernel keeps them to itself (`kernel.kptr_restrict`, no privilege).
    pub xlated: Option<Vec<u8>>,
    /// Its machine code; `None` as for `xlated`.
    pub jited: Option<Vec<u8>>,
    /// Addresses of its functions.
    pub jited_ksyms: Vec<u64>,
    /// Bytes of machine code of its functions.
    pub jited_func_lens: Vec<u32>,
    /// Id of its BTF; 0 is none.
    pub btf_id: u32,
    pub funcs: Vec<FuncInfo>,
    pub lines: Vec<LineInfo>,
    /// For each of `lines` the address of its machine code.
    pub jited_lines: Vec<u64>,
    /// The tags of its functions.
    pub func_tags: Vec<[u8; 8]>,
    /// Time it ran, in ns, and how often, while statistics were enabled.
    pub run_time_ns: u64,
    pub run_count: u64,
    pub recursion_misses: u64,
    pub verified_insns: u32,
    /// What it was loaded for: a BTF by id, and a type of it.
    pub attach_btf_obj_id: u32,
    pub attach_btf: TypeId,
    /// The device that it is bound to, and where that is.
    pub ifindex: u32,
    pub netns_dev: u64,
    pub netns_ino: u64,
}

/// Maps of a program whose ids one question gets.
const FEW_MAPS: u32 = 16;

/// What the kernel tells about a program.
///
/// # Errors
/// `EINVAL` if the descriptor is no program's.
pub fn prog_info(fd: BorrowedFd<'_>, parts: ProgParts) -> Result<ProgInfo> {
    let room = |wanted: bool, count: u32| if wanted { count as usize } else { 0 };
    let (x, j) = (parts.xlated, parts.jited);
    // Most programs have few maps, whose ids come with the lengths.
    let mut map_ids = vec![0u32; room(parts.maps, FEW_MAPS)];
    let mut counts =
        RawProg { nr_map_ids: map_ids.len() as u32, map_ids: address_mut(&mut map_ids), ..RawProg::default() };
    // SAFETY: there is room for as many ids as the number beside their address says.
    unsafe { get(fd, &mut counts)? };
    let whole = !x && !j && (!parts.maps || counts.nr_map_ids <= FEW_MAPS);
    if !whole {
        map_ids.resize(room(parts.maps, counts.nr_map_ids), 0);
    }
    let mut xlated = vec![0u8; room(x, counts.xlated_prog_len)];
    let mut jited = vec![0u8; room(j, counts.jited_prog_len)];
    let mut ksyms = vec![0u64; room(j, counts.nr_jited_ksyms)];
    let mut func_lens = vec![0u32; room(j, counts.nr_jited_func_lens)];
    let mut funcs = vec![FuncRecord::default(); room(x | j, counts.nr_func_info)];
    let mut lines = vec![LineRecord::default(); room(x | j, counts.nr_line_info)];
    let mut jited_lines = vec![0u64; room(j, counts.nr_jited_line_info)];
    let mut tags = vec![[0u8; 8]; room(x, counts.nr_prog_tags)];
    let mut raw = RawProg {
        nr_map_ids: map_ids.len() as u32,
        map_ids: address_mut(&mut map_ids),
        xlated_prog_len: xlated.len() as u32,
        xlated_prog_insns: address_mut(&mut xlated),
        jited_prog_len: jited.len() as u32,
        jited_prog_insns: address_mut(&mut jited),
        nr_jited_ksyms: ksyms.len() as u32,
        jited_ksyms: address_mut(&mut ksyms),
        nr_jited_func_lens: func_lens.len() as u32,
        jited_func_lens: address_mut(&mut func_lens),
        func_info_rec_size: size_of::<FuncRecord>() as u32,
        nr_func_info: funcs.len() as u32,
        func_info: address_mut(&mut funcs),
        line_info_rec_size: size_of::<LineRecord>() as u32,
        nr_line_info: lines.len() as u32,
        line_info: address_mut(&mut lines),
        jited_line_info_rec_size: 8,
        nr_jited_line_info: jited_lines.len() as u32,
        jited_line_info: address_mut(&mut jited_lines),
        nr_prog_tags: tags.len() as u32,
        prog_tags: address_mut(&mut tags),
        ..RawProg::default()
    };
    if whole {
        raw = counts;
    } else {
        // SAFETY: each list has room for as many entries as the number beside it says.
        unsafe { get(fd, &mut raw)? };
    }
    // A list can only be shorter than there was room for, or the kernel has taken its address out: it tells nothing.
    map_ids.truncate(raw.nr_map_ids as usize);
    ksyms.truncate(if raw.jited_ksyms == 0 { 0 } else { raw.nr_jited_ksyms as usize });
    func_lens.truncate(if raw.jited_func_lens == 0 { 0 } else { raw.nr_jited_func_lens as usize });
    jited_lines.truncate(if raw.jited_line_info == 0 { 0 } else { raw.nr_jited_line_info as usize });
    Ok(ProgInfo {
        ty: ProgType(raw.r#type),
        id: raw.id,
        tag: raw.tag,
        name: text(&raw.name),
        load_time: raw.load_time,
        created_by_uid: raw.created_by_uid,
        gpl_compatible: raw.gpl_compatible & 1 != 0,
        xlated_len: counts.xlated_prog_len,
        jited_len: counts.jited_prog_len,
        map_count: raw.nr_map_ids,
        map_ids,
        xlated: (raw.xlated_prog_insns != 0).then_some(xlated),
        jited: (raw.jited_prog_insns != 0).then_some(jited),
        jited_ksyms: ksyms,
        jited_func_lens: func_lens,
        btf_id: raw.btf_id,
        funcs: funcs.iter().map(|f| FuncInfo { insn: f.insn_off, ty: TypeId(f.type_id) }).collect(),
        lines: lines.iter().map(LineRecord::info).collect(),
        jited_lines,
        func_tags: tags,
        run_time_ns: raw.run_time_ns,
        run_count: raw.run_cnt,
        recursion_misses: raw.recursion_misses,
        verified_insns: raw.verified_insns,
        attach_btf_obj_id: raw.attach_btf_obj_id,
        attach_btf: TypeId(raw.attach_btf_id),
        ifindex: raw.ifindex,
        netns_dev: raw.netns_dev,
        netns_ino: raw.netns_ino,
    })
}
