//! Any program of a packet type with maps and helper calls, loaded and run through the library.

use crate::program::{self, Piece, add, copy, lay_out, set, small};
use crate::user;
use alveary::{Loaded, Loader, MapHandle, Packet, User};
use alveary_abi::{Arg, Helper, HelperId, MapDef, MapType, MemSize, ProgType, Proto, Special, SpecialKind};
use alveary_isa::{CmpOp, Endian, Inst, Operand, Reg, Wide, Width};
use alveary_spec::{Initial, MapSpec, Program, Resolved};
use arbitrary::{Result, Unstructured};
use std::sync::Arc;

const BUDGET: u64 = 4096;
const TYPES: [ProgType; 4] = [ProgType::XDP, ProgType::SCHED_CLS, ProgType::SCHED_ACT, ProgType::SOCKET_FILTER];
/// What a constant string may be, and what stands in the map that no program may write to.
const TEXT: &[u8; 32] = b"%d %s %llx %pI4 %%\0text\0\0\0\0\0\0\0\0\0";
/// What packets begin with: nothing, IPv4 with TCP, IPv6 with UDP, a VLAN tag.
const TEMPLATES: [&[u8]; 4] = [
    b"",
    b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0\x45\0\0\x64\0\0\0\0\x40\x06\0\0\x0a\0\0\x01\x0a\0\0\x02\
      \x04\0\0\x50\0\0\0\x01\0\0\0\0\x50\x02\x10\0\0\0\0\0",
    b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x86\xdd\x60\0\0\0\0\x20\x11\x40\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\
      \xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x04\0\0\x35\0\x20\0\0",
    b"\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x02\x81\0\0\x07\x08\0\x45\0\0\x20",
];
/// Indices of two of the [`maps`].
const FIXED: u32 = 15;
const VALUE: u32 = 17;
/// Value of the map that no program is given.
const BYSTANDER: u64 = 0x5ca1_ab1e_0ddb_a115;

/// Where programs here keep their addresses.
const CTX: Reg = Reg(6);
const DATA: Reg = Reg(7);
const DATA_END: Reg = Reg(8);
const FOUND: Reg = Reg(9);

/// Two programs, one of which may tail-call the other, over a few packets.
///
/// What loads runs within its budget and ends with a value or a fault that has words; a map that only user space
/// writes to, and one that the programs were not given, are as they were; every map can be read; all that was held
/// was given back, so that the next run finds the virtual CPU as new.
pub fn programs(bytes: &[u8]) {
    let _ = generated(&mut Unstructured::new(bytes));
}

fn generated(u: &mut Unstructured<'_>) -> Result<()> {
    let user = user();
    let ty = *u.choose(&TYPES)?;
    let packet_len = *u.choose(&[60, 0, 13, 14, 34, 128, 1500])?;
    let maps = maps();
    let surroundings = Surroundings { ty, maps: &maps, callable: callable(&user, ty, &maps) };
    let programs = ["main", "other"]
        .into_iter()
        .map(|name| Ok(Arc::new(surroundings.program(u, name)?)))
        .collect::<Result<Vec<_>>>()?;
    let by_name = maps.into_iter().chain([bystander()]).map(|map| (map.name.clone(), map)).collect();
    let resolved = Resolved { endian: Endian::HOST, maps: by_name, programs, btf: None };
    match Loader::new(user).load_resolved(resolved) {
        Ok(loaded) => runs(&loaded, packet_len, u.bytes(u.len())?),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    Ok(())
}

fn runs(loaded: &Loaded<User>, packet_len: usize, packet: &[u8]) {
    let map = |name| loaded.map(name).expect("it was made");
    let (fixed, bystander) = (map("fixed"), map("bystander"));
    let entries = bystander.spec().def.max_entries;
    for key in 0..entries {
        bystander.update(&key.to_ne_bytes(), &BYSTANDER.to_ne_bytes(), 0).expect("an array takes any entry");
    }
    let mut data = TEMPLATES[packet.first().map_or(0, |first| usize::from(*first) % TEMPLATES.len())].to_vec();
    // The packet's own bytes go over its payload, or over its headers too.
    let from = if packet.len().is_multiple_of(2) { data.len() } else { 0 };
    data.splice(from.., packet.iter().copied());
    data.resize(packet_len, 0x45);
    let mut cpu = loaded.target().vcpu(0).expect("nobody else uses it");
    cpu.set_budget(BUDGET);
    for program in loaded.programs() {
        let mut packets = program.packets(&mut cpu).expect("these types take packets");
        for len in [data.len(), data.len() / 2, data.len()] {
            match packets.run(&Packet { data: &data[..len], ..Packet::default() }) {
                Ok(verdict) => {
                    assert!(verdict.insns() <= BUDGET);
                    // A packet has its length, whatever was done to it.
                    assert!(verdict.bytes().len() <= 1 << 16);
                    let _ = (verdict.name(), verdict.redirect());
                }
                Err(fault) => assert!(!fault.diagnostic().to_string().is_empty()),
            }
        }
    }
    assert_eq!(fixed.lookup(&[0; 4]).expect("an array can be read").as_deref(), Some(&TEXT[..]));
    for key in 0..entries {
        let value = bystander.lookup(&key.to_ne_bytes()).expect("an array can be read");
        assert_eq!(value.as_deref(), Some(&BYSTANDER.to_ne_bytes()[..]), "entry {key}");
    }
    for (name, map) in loaded.maps() {
        if let Ok(entries) = map.entries() {
            assert!(entries.len() <= map.spec().def.max_entries as usize, "{name}");
            assert!(entries.iter().all(|(_, value)| value.len() == map.entry_size()), "{name}");
        }
        let _ = map.events(|_, event| assert!(event.len() <= 1 << 17));
    }
}

/// A map of each kind that runs here. Their order is that of the programs' indices.
fn maps() -> Vec<MapSpec> {
    let spec = |name: &str, ty, key_size, value_size, max_entries| {
        let def = MapDef { ty, key_size, value_size, max_entries, flags: 0, extra: 0, special: Vec::new() };
        MapSpec::new(name, def, ".maps")
    };
    let mut maps = vec![
        spec("array", MapType::ARRAY, 4, 20, 4),
        spec("hash", MapType::HASH, 8, 24, 4),
        spec("array_of_cpus", MapType::PERCPU_ARRAY, 4, 16, 2),
        spec("hash_of_cpus", MapType::PERCPU_HASH, 4, 8, 4),
        spec("lru", MapType::LRU_HASH, 4, 16, 4),
        spec("trie", MapType::LPM_TRIE, 8, 8, 8),
        spec("programs", MapType::PROG_ARRAY, 4, 4, 4),
        spec("devices", MapType::DEVMAP, 4, 4, 4),
        spec("cpus", MapType::CPUMAP, 4, 4, 4),
        spec("sockets", MapType::XSKMAP, 4, 4, 4),
        spec("events", MapType::PERF_EVENT_ARRAY, 4, 4, 1),
        spec("ring", MapType::RINGBUF, 0, 0, 4096),
        spec("queue", MapType::QUEUE, 0, 8, 4),
        spec("stack", MapType::STACK, 0, 8, 4),
        spec("bloom", MapType::BLOOM_FILTER, 0, 8, 16),
        spec("fixed", MapType::ARRAY, 4, TEXT.len() as u32, 1),
        spec("locked", MapType::HASH, 4, 16, 4),
        spec("value", MapType::ARRAY, 4, 64, 1),
    ];
    for map in &mut maps {
        match map.name.as_str() {
            // `BPF_F_NO_PREALLOC`, without which there is no trie.
            "trie" => map.def.flags = 1,
            // `BPF_F_RDONLY_PROG`.
            "fixed" => {
                map.def.flags = 1 << 7;
                map.initial = Initial::Bytes(TEXT.to_vec());
                map.freeze = true;
            }
            "locked" | "array" => map.def.special = vec![Special { off: 4, kind: SpecialKind::SpinLock }],
            "programs" => map.initial = Initial::Programs(vec![Some("other".into()), None, Some("main".into())]),
            _ => {}
        }
    }
    maps
}

/// A map that lies among the others and that no program knows.
fn bystander() -> MapSpec {
    let mut map = maps().swap_remove(0);
    map.name = "bystander".into();
    map.def = MapDef { value_size: 8, max_entries: 64, special: Vec::new(), ..map.def };
    map
}

/// A helper that a program may call, and the maps that it takes, by index.
struct Callable {
    row: &'static Helper,
    proto: &'static Proto,
    maps: Vec<u32>,
}

/// The helpers that a program of this type may call here.
fn callable(user: &User, ty: ProgType, maps: &[MapSpec]) -> Vec<Callable> {
    let runtime = user.runtime();
    let profile = &runtime.kernel().profile;
    let takes =
        |row: &Helper, map: &MapSpec| profile.map_type(map.def.ty).is_some_and(|of| of.helpers.contains(&row.id));
    let rows = profile.tables().helpers.iter().filter(|row| runtime.has_helper(ty, row.id));
    rows.filter_map(|row| {
        let maps = (0..).zip(maps).filter(|(_, map)| takes(row, map)).map(|(n, _)| n).collect();
        Some(Callable { row, proto: row.proto(ty, None, profile.version)?, maps })
    })
    .collect()
}

/// What programs are generated for.
struct Surroundings<'a> {
    ty: ProgType,
    maps: &'a [MapSpec],
    callable: Vec<Callable>,
}

impl Surroundings<'_> {
    fn program(&self, u: &mut Unstructured<'_>, name: &str) -> Result<Program> {
        let mut functions = Vec::new();
        for n in 0..u.int_in_range(1..=3)? {
            functions.push(self.function(u, n == 0)?);
        }
        let (insns, starts) = lay_out(&functions);
        Ok(Program {
            name: name.into(),
            section: "generated".into(),
            ty: self.ty,
            insns,
            maps: self.maps.iter().map(|map| map.name.clone()).collect(),
            subprogs: starts.into_iter().map(|start| (start, name.into())).collect(),
            license: "GPL".into(),
            ..Program::default()
        })
    }

    /// Where memory is in a program of this type.
    fn bases(&self) -> [program::Base; 5] {
        let fields = if self.ty == ProgType::XDP { 0..=20 } else { 0..=76 };
        [(CTX, fields), (DATA, 0..=40), (DATA_END, -32..=-8), (Reg::FP, -512..=-8), (Reg::FP, -64..=-8)]
    }

    fn function(&self, u: &mut Unstructured<'_>, entry: bool) -> Result<Vec<Piece>> {
        let mut body = Vec::new();
        if entry {
            body.extend([copy(CTX, Reg::R1), set(FOUND, 0), set(Reg::R0, 0)]);
            self.packet_addresses(&mut body);
        }
        for _ in 0..u.int_in_range(1..=12)? {
            match u.int_in_range(0..=15)? {
                0..=8 => {
                    let callable = u.choose(&self.callable)?;
                    self.call(u, callable, &mut body)?;
                }
                9 => self.locked(u, &mut body)?,
                10 => found(u, &mut body)?,
                11 if self.ty != ProgType::XDP => body.push(legacy_load(u)?),
                _ => body.push(program::plain(u, &self.bases())?),
            }
        }
        body.push(Piece::Inst(Inst::Exit));
        Ok(body)
    }

    /// The packet's addresses anew, as after every call that may have moved it.
    fn packet_addresses(&self, body: &mut Vec<Piece>) {
        // `data` and `data_end` of `xdp_md` and `__sk_buff`.
        let (data, end) = if self.ty == ProgType::XDP { (0, 4) } else { (76, 80) };
        for (dst, off) in [(DATA, data), (DATA_END, end)] {
            body.push(Piece::Inst(Inst::Load { width: Width::B4, signed: false, dst, src: CTX, off }));
        }
    }

    /// A call of a helper whose arguments are mostly what its row says.
    fn call(&self, u: &mut Unstructured<'_>, callable: &Callable, body: &mut Vec<Piece>) -> Result<()> {
        let Callable { row, proto, maps } = callable;
        for (register, arg) in (1..).map(Reg).zip(&proto.args) {
            argument(u, register, arg, callable, body)?;
        }
        body.push(Piece::Inst(Inst::CallHelper { id: row.id.0 as i32 }));
        if proto.effects.changes_packet && u.ratio(15, 16)? {
            self.packet_addresses(body);
        }
        if proto.effects.acquires && u.ratio(7, 8)? {
            // What is given back is written to and released, or the program is stopped for it.
            let mut held = vec![copy(FOUND, Reg::R0)];
            found(u, &mut held)?;
            let releasing: Vec<&Callable> =
                self.callable.iter().filter(|other| other.proto.effects.releases.is_some()).collect();
            let release = u.choose(&releasing)?;
            self.call(u, release, &mut held)?;
            unless_null(Reg::R0, &held, body);
        } else if !maps.is_empty() && u.ratio(3, 4)? {
            unless_null(Reg::R0, &[copy(FOUND, Reg::R0)], body);
        }
        Ok(())
    }

    /// Looks a value with a lock up, takes the lock, does something, gives it back.
    fn locked(&self, u: &mut Unstructured<'_>, body: &mut Vec<Piece>) -> Result<()> {
        let helper = |id: HelperId| Piece::Inst(Inst::CallHelper { id: id.0 as i32 });
        body.push(Piece::Inst(Inst::MapIdx { dst: Reg::R1, idx: 0 }));
        stack(u, Reg::R2, 8, body)?;
        body.push(helper(HelperId::MAP_LOOKUP_ELEM));
        let mut held = vec![copy(FOUND, Reg::R0), copy(Reg::R1, FOUND), add(Reg::R1, 4), helper(HelperId::SPIN_LOCK)];
        for _ in 0..u.int_in_range(0..=2)? {
            held.push(program::plain(u, &self.bases())?);
        }
        held.extend([copy(Reg::R1, FOUND), add(Reg::R1, 4), helper(HelperId::SPIN_UNLOCK)]);
        unless_null(Reg::R0, &held, body);
        Ok(())
    }
}

/// Pieces that are passed over if a register is zero.
fn unless_null(register: Reg, pieces: &[Piece], body: &mut Vec<Piece>) {
    let jump = Inst::Jmp { wide: Wide::W64, op: CmpOp::Eq, dst: register, src: Operand::Imm(0), off: 0 };
    body.push(Piece::Jump(jump, pieces.len().min(100) as i8));
    body.extend_from_slice(pieces);
}

/// Reads and writes what was found last, if anything was.
fn found(u: &mut Unstructured<'_>, body: &mut Vec<Piece>) -> Result<()> {
    let off = u.int_in_range(0..=16)?;
    let store = Inst::Store { width: Width::B4, dst: FOUND, off, src: Operand::Imm(small(u)?) };
    let load = Inst::Load { width: Width::B4, signed: false, dst: Reg::R3, src: FOUND, off };
    let access = [Piece::Inst(store), Piece::Inst(load)];
    unless_null(FOUND, &access[u.int_in_range(0..=1)?..], body);
    Ok(())
}

fn legacy_load(u: &mut Unstructured<'_>) -> Result<Piece> {
    let (width, imm) = (*u.choose(&[Width::B1, Width::B2, Width::B4])?, small(u)?);
    Ok(Piece::Inst(if u.arbitrary()? {
        Inst::LoadAbs { width, imm }
    } else {
        Inst::LoadInd { width, src: program::scratch(u)?, imm }
    }))
}

fn argument(
    u: &mut Unstructured<'_>,
    register: Reg,
    arg: &Arg,
    callable: &Callable,
    body: &mut Vec<Piece>,
) -> Result<()> {
    if !matches!(arg, Arg::None) && u.ratio(1, 100)? {
        // Something else.
        body.push(if u.arbitrary()? { copy(register, program::scratch(u)?) } else { set(register, small(u)?) });
        return Ok(());
    }
    match *arg {
        Arg::None => {}
        Arg::Ctx { .. } => body.push(copy(register, CTX)),
        Arg::Map => {
            let maps = &callable.maps;
            let idx = if maps.is_empty() || u.ratio(1, 64)? { u.int_in_range(0..=20)? } else { *u.choose(maps)? };
            body.push(Piece::Inst(Inst::MapIdx { dst: register, idx }));
        }
        Arg::MapKey | Arg::MapValue { .. } => memory(u, register, 24, callable, body)?,
        Arg::Mem { size: MemSize::Fixed(len), .. } => memory(u, register, len as i32, callable, body)?,
        Arg::Mem { or_null, .. } if or_null && u.ratio(1, 8)? => body.push(set(register, 0)),
        Arg::Mem { .. } => memory(u, register, 64, callable, body)?,
        Arg::Size { .. } if u.ratio(1, 32)? => body.push(set(register, *u.choose(&[0, -1, 512, 65, 0x10000])?)),
        Arg::Size { .. } => body.push(set(register, *u.choose(&[4, 8, 16, 1, 3, 6, 20, 32, 64])?)),
        Arg::AllocSize => body.push(set(register, *u.choose(&[32, 64, 24, 20, 8, 1, 0, 2000, 4096, -1])?)),
        Arg::AllocMem => body.push(copy(register, FOUND)),
        Arg::SpinLock => body.extend([copy(register, FOUND), add(register, *u.choose(&[4, 4, 4, 0])?)]),
        Arg::Callback { .. } => body.push(Piece::Address(register, u.int_in_range(0..=2)?)),
        Arg::CallbackCtx => stack(u, register, 8, body)?,
        Arg::ConstStr => body.push(Piece::Inst(Inst::MapValueIdx {
            dst: register,
            idx: FIXED,
            off: u.int_in_range(0..=TEXT.len() as u32)?,
        })),
        // The last argument is flags, mostly.
        Arg::Any
            if callable.proto.args.get(usize::from(register.0)).is_none_or(|next| *next == Arg::None)
                && u.ratio(2, 3)? =>
        {
            body.push(set(register, 0));
        }
        _ => match u.int_in_range(0..=7)? {
            0 => body.push(copy(register, program::scratch(u)?)),
            1 => body.push(set(register, small(u)?)),
            2 => body.push(set(register, 1 << u.int_in_range(0..=31)?)),
            3..=5 => body.push(set(register, *u.choose(&[1, 2, 4, 8, 14, 20, 28, 40, 60, 100, -4, -14, -20, 2000])?)),
            _ => body.push(set(register, 0)),
        },
    }
    Ok(())
}

/// The address of some bytes: on the stack, in the packet, in a map, at the edge of any.
fn memory(u: &mut Unstructured<'_>, register: Reg, len: i32, callable: &Callable, body: &mut Vec<Piece>) -> Result<()> {
    let packet = if callable.proto.packet_memory { 3 } else { 0 };
    match u.int_in_range(0..=23)? {
        0 => body.push(copy(register, FOUND)),
        n if n <= 1 + packet => body.extend([copy(register, DATA), add(register, u.int_in_range(0..=40)?)]),
        n if n <= 2 + 2 * packet => body.extend([copy(register, DATA_END), add(register, -u.int_in_range(0..=len)?)]),
        n if n <= 12 => {
            let off = if u.ratio(1, 16)? { u.int_in_range(0..=64)? } else { 0 };
            body.push(Piece::Inst(Inst::MapValueIdx { dst: register, idx: VALUE, off }));
        }
        _ => stack(u, register, len, body)?,
    }
    Ok(())
}

/// The address of bytes on the stack, of which the first eight hold a small number.
fn stack(u: &mut Unstructured<'_>, register: Reg, len: i32, body: &mut Vec<Piece>) -> Result<()> {
    let below = -((u.int_in_range(0..=8)? * 8 + len + 7) & !7);
    let (dst, off, src) = (Reg::FP, below.max(-512) as i16, Operand::Imm(u.int_in_range(0..=4)?));
    body.push(Piece::Inst(Inst::Store { width: Width::B8, dst, off, src }));
    body.extend([copy(register, Reg::FP), add(register, below)]);
    Ok(())
}
