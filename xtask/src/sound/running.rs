//! Proven programs on the running kernel, held against what the engines did: the same maps, filled the same, the same
//! packets, by `BPF_PROG_TEST_RUN`.
//!
//! All this happens without the right to look at the kernel (CAP_PERFMON): what depends on addresses or on what was never
//! written is then refused.

use super::{
    kernel::named,
    machine::{End, Seen, Step},
};
use alveary_abi::{Errno, HelperId, MapType, Profile, ProgType};
use alveary_isa::{Inst, decode};
use alveary_linux::{
    btf,
    map::{self, MapFrom},
    prog::{self, ProgFrom},
    read::RingBuffer,
    sys::{self, TestRun},
};
use alveary_spec::{MapSpec, Program};
use alveary_testing::{Generated, Needs, PROGRAMS, bpf::Prog};
use std::{
    collections::BTreeMap,
    os::fd::{AsFd, OwnedFd},
};

/// Maps whose contents are compared; what is in the others is the kernel's business, or nobody's.
const COMPARED: [MapType; 7] = [
    MapType::ARRAY,
    MapType::HASH,
    MapType::PERCPU_ARRAY,
    MapType::PERCPU_HASH,
    MapType::LPM_TRIE,
    MapType::QUEUE,
    MapType::STACK,
];
/// Maps that do not do the same twice: what is pushed out, what a filter takes for something else.
const LOOSE: [MapType; 2] = [MapType::LRU_HASH, MapType::BLOOM_FILTER];

/// Helpers that do the same on both, whatever else happens on the machine.
const HELPERS: &[&str] = &[
    "map_lookup_elem",
    "map_update_elem",
    "map_delete_elem",
    "map_push_elem",
    "map_pop_elem",
    "map_peek_elem",
    "map_lookup_percpu_elem",
    "for_each_map_elem",
    "loop",
    "tail_call",
    "strtol",
    "strtoul",
    "strncmp",
    "csum_diff",
    "ringbuf_reserve",
    "ringbuf_submit",
    "ringbuf_discard",
    "ringbuf_output",
    "xdp_adjust_head",
    "xdp_adjust_meta",
    "xdp_adjust_tail",
    "xdp_load_bytes",
    "xdp_store_bytes",
    "xdp_get_buff_len",
    "skb_load_bytes",
    "skb_load_bytes_relative",
    "skb_store_bytes",
    "skb_pull_data",
    "skb_change_tail",
    "skb_change_head",
    "skb_change_type",
    "skb_change_proto",
    "skb_adjust_room",
    "skb_vlan_push",
    "skb_vlan_pop",
    "l3_csum_replace",
    "l4_csum_replace",
    "csum_update",
    "csum_level",
    "set_hash_invalid",
    "set_hash",
    "get_smp_processor_id",
];

/// Whether a program that uses this does the same on both.
pub(crate) fn can(needs: Needs<'_>) -> bool {
    match needs {
        Needs::Helper(id) => Profile::linux_6_18().helper(id).is_some_and(|row| HELPERS.contains(&row.name)),
        Needs::Field(name) => !matches!(name, "hash" | "tstamp" | "hwtstamp" | "napi_id"),
    }
}

/// The kernel's maps and programs, for programs of each type.
pub(crate) struct Running {
    types: OwnedFd,
    specs: Vec<MapSpec>,
    sides: BTreeMap<u32, Side>,
}

/// Maps of programs of one type. Programs that are in its prog array are kept by that.
struct Side {
    maps: Vec<sys::Map>,
    rings: Vec<RingBuffer>,
}

/// A program that the kernel takes.
pub(crate) struct Taken {
    prog: OwnedFd,
    ty: ProgType,
}

impl Running {
    /// `specs`: the maps, in the order of programs' indices; `any`: a program, with the types of all.
    pub(crate) fn new(specs: Vec<MapSpec>, any: &Generated) -> Result<Running, String> {
        sys::stay_on_cpu(0).map_err(|error| error.to_string())?;
        let types = any.program.btf.as_ref().ok_or("a program without types")?;
        let types = btf::load(types, None).map_err(|error| error.to_string())?.fd;
        Ok(Running { types, specs, sides: BTreeMap::new() })
    }

    /// Loads a program that is not loose, if the kernel takes it.
    pub(crate) fn take(&mut self, program: &Program) -> Result<Option<Taken>, String> {
        let types = self.types.try_clone().map_err(|error| error.to_string())?;
        let side = self.side(program.ty)?;
        // Asked without a log first: a refusal with one is written for seconds.
        if !Prog::verdict(program, &named(program, &side.maps), types.as_fd()).unwrap_or(false) {
            return Ok(None);
        }
        let maps: Vec<_> = side.maps.iter().map(AsFd::as_fd).collect();
        let from = ProgFrom { maps: &maps, btf: Some(types.as_fd()), ..ProgFrom::default() };
        Ok(prog::load(program, &from).ok().map(|loaded| Taken { prog: loaded.fd, ty: program.ty }))
    }

    /// Does what was done to a program on an engine: what it did then. `None` if a packet is none to the kernel.
    pub(crate) fn replay(&mut self, taken: &Taken, script: &[Step]) -> Result<Option<Seen>, String> {
        let specs = self.specs.clone();
        let side = self.side(taken.ty)?;
        side.empty(&specs);
        let (mut seen, mut runs) = (Seen::default(), true);
        for step in script {
            match step {
                Step::Write { map, key, value } => _ = side.maps[*map].update(key, value, 0),
                Step::Run(_) if !runs => {}
                Step::Run(packet) => match run(taken, packet)? {
                    Some(end) => seen.ends.push(end),
                    // Programs after it may call it all the same.
                    None => runs = false,
                },
                Step::Keep(slot) => {
                    let array = &side.maps[PROGRAMS as usize];
                    array.update_fd(&slot.to_ne_bytes(), taken.prog.as_fd(), 0).map_err(|error| error.to_string())?;
                }
            }
        }
        if !runs {
            return Ok(None);
        }
        seen.maps = compared(&specs).map(|(n, spec)| (spec.name.to_string(), contents(&side.maps[n]))).collect();
        Ok(Some(seen))
    }

    /// What of the engines' maps is compared.
    pub(crate) fn comparable(&self, mut seen: Seen) -> Seen {
        let names: Vec<_> = compared(&self.specs).map(|(_, spec)| &*spec.name).collect();
        seen.maps.retain(|(name, _)| names.contains(&&**name));
        for (end, _) in &mut seen.ends {
            *end = end.map(|value| value & u64::from(u32::MAX));
        }
        seen.randomness = 0;
        seen
    }

    fn side(&mut self, ty: ProgType) -> Result<&mut Side, String> {
        if !self.sides.contains_key(&ty.0) {
            self.sides.insert(ty.0, Side::new(&self.specs)?);
        }
        self.sides.get_mut(&ty.0).ok_or_else(|| "it was made just now".to_owned())
    }

    /// Whether what it does depends on more than what it is given.
    pub(crate) fn is_loose(&self, program: &Program) -> bool {
        let (mut at, mut calls_for_each, mut hashes) = (0, false, false);
        while let Ok(inst) = decode(&program.insns, at) {
            at += inst.slots();
            match inst {
                Inst::MapIdx { idx, .. } | Inst::MapValueIdx { idx, .. } => {
                    let ty = self.specs[idx as usize].def.ty;
                    if LOOSE.contains(&ty) {
                        return true;
                    }
                    hashes |= ty == MapType::HASH;
                }
                Inst::CallHelper { id } => calls_for_each |= id as u32 == HelperId::FOR_EACH_MAP_ELEM.0,
                _ => {}
            }
        }
        // In which order entries come is no promise.
        calls_for_each && hashes
    }
}

impl Side {
    fn new(specs: &[MapSpec]) -> Result<Side, String> {
        let from = MapFrom { object: "sound", ..MapFrom::default() };
        let maps = specs.iter().map(|spec| map::create(spec, &from).map(|made| made.map).map_err(|e| e.to_string()));
        let maps = maps.collect::<Result<Vec<_>, _>>()?;
        let rings = maps.iter().filter(|map| map.map_type() == MapType::RINGBUF).map(RingBuffer::open);
        let rings = rings.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        Ok(Side { maps, rings })
    }

    /// Takes out of the maps what can be taken out.
    fn empty(&mut self, specs: &[MapSpec]) {
        self.rings.iter_mut().for_each(|ring| _ = ring.drain(|_| {}));
        for (map, spec) in self.maps.iter().zip(specs) {
            let mut key = vec![0; map.key_size()];
            match spec.def.ty {
                MapType::QUEUE | MapType::STACK => {
                    let mut value = vec![0; map.value_size()];
                    while map.take(&[], &mut value, 0).is_ok() {}
                }
                MapType::HASH | MapType::PERCPU_HASH | MapType::LPM_TRIE => {
                    while map.next_key(None, &mut key).is_ok() && map.delete(&key).is_ok() {}
                }
                _ => {}
            }
        }
    }
}

fn compared(specs: &[MapSpec]) -> impl Iterator<Item = (usize, &MapSpec)> {
    specs.iter().enumerate().filter(|(_, spec)| COMPARED.contains(&spec.def.ty))
}

/// Runs a program once: what it returned, what it left of the packet and, where programs may write to it, the context.
fn run(taken: &Taken, packet: &[u8]) -> Result<Option<End>, String> {
    let mut data = vec![0; 1 << 14];
    let mut context = vec![0; if taken.ty == ProgType::XDP { 0 } else { CONTEXT }];
    let run = TestRun { data: packet, data_out: &mut data, context_out: &mut context, ..TestRun::default() };
    let outcome = match run.run(taken.prog.as_fd()) {
        Err(error) if error.errno() == Errno::EINVAL => return Ok(None),
        outcome => outcome.map_err(|error| error.to_string())?,
    };
    data.truncate(outcome.data);
    if taken.ty == ProgType::SOCKET_FILTER {
        // In front stands an empty header, in place of the one that such programs do not see.
        data.drain(..ETHERNET.min(outcome.data));
    }
    let left = FIELDS.iter().filter(|_| !context.is_empty()).flat_map(|at| context[*at..at + 4].to_vec());
    Ok(Some((Ok(outcome.retval.into()), left.chain(data).collect())))
}

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
/// Bytes of `struct __sk_buff`; in it `mark`, `priority` and the five words of `cb`.
const CONTEXT: usize = 192;
const FIELDS: [usize; 7] = [8, 32, 48, 52, 56, 60, 64];

/// Keys and values, in the order of the keys.
fn contents(map: &sys::Map) -> Vec<u8> {
    let mut entries = Vec::new();
    let (mut key, mut value) = (vec![0; map.key_size()], vec![0; map.value_size()]);
    let mut more = map.next_key(None, &mut key).is_ok();
    while more {
        if map.lookup(&key, &mut value, 0).is_ok() {
            entries.push([&key[..], &value].concat());
        }
        more = map.next_key(Some(&key.clone()), &mut key).is_ok();
    }
    entries.sort();
    entries.concat()
}
