//! Where accepted programs run: checked, over packets and map contents that are drawn.

use super::facts::Holder;
use alveary_abi::{MapType, ProgType};
use alveary_net::{Net, SkBuff, Skb, Start, Xdp, XdpBuff};
use alveary_runtime::{
    Engine, Family, Fault, LoadedMap, Passes, Prog, Ran, Runtime, Trap, TrapKind, Vcpu, Watched, World,
};
use alveary_spec::{Kernel, MapSpec, Program};
use alveary_testing::{Draw, Needs, PROGRAMS};
use alveary_verifier::Verified;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Instructions that a run may take of which the verifier does not know how many it takes.
const BUDGET: u64 = 1 << 20;
/// How often a program runs.
pub(crate) const ROUNDS: usize = 6;
const LENGTHS: [usize; 18] = [0, 1, 2, 4, 8, 13, 14, 15, 20, 34, 40, 42, 54, 60, 64, 128, 300, 1500];

/// Where frames for everybody go. The device that the kernel's test runs come from has no such address: there it is one of
/// many multicast ones.
const BROADCAST: [u8; 6] = [0xff; 6];

/// Types of programs that run here, of those that programs are generated for.
pub(crate) fn runs(ty: ProgType) -> bool {
    Xdp::TYPES.contains(&ty) || Skb::TYPES.contains(&ty)
}

/// A runtime with a CPU, and for each type the maps of its programs.
pub(crate) struct Machine {
    runtime: Arc<Runtime>,
    cpu: Vcpu,
    maps: BTreeMap<u32, Vec<LoadedMap>>,
    specs: Vec<MapSpec>,
    draw: Draw,
    /// Boxed, so that they are elsewhere in each machine, wherever that stands.
    xdp: Box<XdpBuff>,
    skb: Box<SkBuff>,
    /// Who holds what is said of the program against its runs.
    holder: Option<Arc<Mutex<Holder>>>,
    /// The shortest packet.
    shortest: usize,
    /// Instructions that a run may take of which nothing else is known; of proven programs, rounds of their loops by helpers.
    budget: u64,
    /// What is done to the program that is seen.
    script: Vec<Step>,
    /// Proven programs in prog arrays.
    kept: Kept,
}

/// Programs that others may tail-call, by their type and the slot.
pub(crate) type Kept = BTreeMap<(u32, u32), Arc<Program>>;

/// What is done to a program, for who does the same.
#[derive(Debug)]
pub(crate) enum Step {
    /// An entry of a map is written, by the map's number.
    Write { map: usize, key: Vec<u8>, value: Vec<u8> },
    /// It runs on a packet.
    Run(Vec<u8>),
    /// It goes into a slot of the prog array.
    Keep(u32),
}

/// How the runs of a program ended.
pub(crate) enum Ended {
    /// Well, after so many instructions.
    Well(u64),
    /// One of them took more than its budget, which nobody says is wrong.
    Long,
    /// In a trap.
    Trapped(Box<Fault>),
}

pub(crate) fn runtime(kernel: Kernel, seed: u64, engine: Engine, passes: Passes) -> Arc<Runtime> {
    let world = World { seed: Some(seed), ..World::repeatable() };
    let net = Arc::new(Net::default());
    let builder = Runtime::builder(kernel, world).family::<Xdp>(net.clone()).family::<Skb>(net);
    builder.trace_lines(16).engine(engine).passes(passes).build()
}

/// How a run ended, and what it left of the packet and the context.
pub(crate) type End = (Result<u64, Trap>, Vec<u8>);

/// What a program did in some runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) ends: Vec<End>,
    /// What the maps hold in the end, by their names.
    pub(crate) maps: Vec<(String, Vec<u8>)>,
    /// Where random numbers stand in the end: that is how many were drawn.
    pub(crate) randomness: u64,
}

impl Seen {
    /// How many runs ended in a trap.
    pub(crate) fn traps(&self) -> u64 {
        self.ends.iter().filter(|(end, _)| end.is_err()).count() as u64
    }

    /// What is not the same, of this, interpreted, and of another by `who`.
    pub(crate) fn difference(&self, other: &Seen, who: &str) -> String {
        for (round, (one, two)) in self.ends.iter().zip(&other.ends).enumerate() {
            if one.0 != two.0 {
                return format!("run {round} ends with {:?} interpreted, with {:?} {who}", one.0, two.0);
            }
            if one.1 != two.1 {
                return format!("run {round} leaves {:02x?} interpreted, {:02x?} {who}", one.1, two.1);
            }
        }
        match self.maps.iter().zip(&other.maps).find(|(one, two)| one != two) {
            Some((one, two)) => format!("map {}: {:02x?} interpreted, {:02x?} {who}", one.0, one.1, two.1),
            None if self.randomness != other.randomness => format!("not as many random numbers interpreted as {who}"),
            None => "nothing".into(),
        }
    }
}

/// Whether a program that uses this can run.
pub(crate) fn can(runtime: &Runtime, ty: ProgType, needs: Needs<'_>) -> bool {
    let backed = |backings: &[alveary_runtime::Backing], name| backings.iter().any(|b| b.field == name);
    match needs {
        Needs::Helper(id) => !runs(ty) || runtime.has_helper(ty, id),
        Needs::Field(name) if ty == ProgType::XDP => backed(Xdp::backings(), name),
        Needs::Field(name) => !runs(ty) || backed(Skb::backings(), name),
    }
}

impl Machine {
    /// `specs`: the maps, in the order of programs' indices.
    pub(crate) fn new(runtime: &Arc<Runtime>, cpu: u32, specs: Vec<MapSpec>, seed: u64) -> Result<Machine, String> {
        let cpu = runtime.vcpu(cpu).ok_or("no such virtual CPU")?;
        Ok(Machine {
            runtime: runtime.clone(),
            cpu,
            maps: BTreeMap::new(),
            specs,
            draw: Draw::new(seed),
            xdp: Box::new(XdpBuff::new()),
            skb: Box::new(SkBuff::new()),
            kept: Kept::new(),
            holder: None,
            shortest: 0,
            budget: BUDGET,
            script: Vec::new(),
        })
    }

    /// Packets are as long from now on as the kernel wants them to be.
    pub(crate) fn shortest(self, shortest: usize) -> Machine {
        Machine { shortest, ..self }
    }

    /// Runs take no more than this from now on.
    pub(crate) fn budget(self, budget: u64) -> Machine {
        Machine { budget, ..self }
    }

    /// Has contexts where the other machine had its own.
    pub(crate) fn take_contexts(&mut self, other: &mut Machine) {
        std::mem::swap(&mut self.xdp, &mut other.xdp);
        std::mem::swap(&mut self.skb, &mut other.skb);
    }

    /// What was done to the program that was seen last.
    pub(crate) fn script(&self) -> &[Step] {
        &self.script
    }

    /// Runs a program a few times. `steps`: what each may take, if that is known. What runs well may be tail-called by
    /// those after it.
    pub(crate) fn run(&mut self, program: &Arc<Program>, steps: Option<u64>, rounds: usize) -> Result<Ended, String> {
        let maps = self.maps_of(program.ty)?;
        let prog =
            self.runtime.load_unverified(program.clone(), maps.clone()).map_err(|refused| refused.to_string())?;
        self.script.clear();
        self.renew(&maps);
        self.cpu.set_budget(steps.unwrap_or(self.budget));
        let (mut insns, mut long) = (0, false);
        for round in 0..rounds {
            if round > 0 {
                self.fill(&maps, 0);
                self.fill(&maps, 12);
            }
            match self.once(&prog) {
                Ok(ran) => insns += ran.insns,
                Err(fault) if steps.is_none() && fault.trap.kind == TrapKind::Budget => long = true,
                Err(fault) => return Ok(Ended::Trapped(fault)),
            }
        }
        let slot = self.draw.below(4) as u32;
        self.runtime.set_slot(&maps[PROGRAMS as usize], slot, &prog).map_err(|refused| refused.to_string())?;
        Ok(if long { Ended::Long } else { Ended::Well(insns) })
    }

    /// Holds facts against the runs from now on; `None`: no longer.
    pub(crate) fn hold(&mut self, holder: Option<&Arc<Mutex<Holder>>>) {
        self.holder = holder.cloned();
        self.cpu.watch(holder.cloned().map(|holder| -> Box<dyn FnMut(&Watched<'_>) + Send> {
            Box::new(move |now| holder.lock().unwrap_or_else(PoisonError::into_inner).step(now))
        }));
    }

    /// Proven programs that the one that is seen next may tail-call.
    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Gives it such programs.
    pub(crate) fn keep(&mut self, kept: &Kept) -> Result<(), String> {
        for ((_, slot), program) in kept {
            let maps = self.maps_of(program.ty)?;
            let prog = self.runtime.load(program.clone(), maps.clone()).map_err(|refused| refused.why.to_string())?;
            self.fill_slot(&maps, *slot, &prog)?;
        }
        Ok(())
    }

    /// Whether one of the runs in which [`Machine::see`] would see a program takes more instructions than the budget, where
    /// `kept` is what it may tail-call.
    pub(crate) fn takes_long(
        &mut self,
        program: &Arc<Program>,
        kept: &Kept,
        seed: u64,
        rounds: usize,
    ) -> Result<bool, String> {
        let maps = self.maps_of(program.ty)?;
        let load = |program: &Arc<Program>| self.runtime.load_unverified(program.clone(), maps.clone());
        // What cannot be loaded is not proven, either.
        let Ok(prog) = load(program) else { return Ok(false) };
        for (&(ty, slot), other) in kept.range((program.ty.0, 0)..=(program.ty.0, u32::MAX)) {
            if self.kept.get(&(ty, slot)).is_some_and(|there| Arc::ptr_eq(there, other)) {
                continue;
            }
            let other_prog = load(other).map_err(|refused| refused.to_string())?;
            let refused = self.runtime.set_slot(&maps[PROGRAMS as usize], slot, &other_prog);
            refused.map_err(|refused| refused.to_string())?;
            self.kept.insert((ty, slot), other.clone());
        }
        let ended = |end: &Result<Ran, Box<Fault>>| matches!(end, Err(fault) if fault.trap.kind == TrapKind::Budget);
        self.begin(&maps, seed);
        Ok((0..rounds).any(|_| {
            self.fill(&maps, 0);
            ended(&self.once(&prog))
        }))
    }

    /// All that is drawn from now on comes from this seed, the contents of the maps first.
    fn begin(&mut self, maps: &[LoadedMap], seed: u64) {
        self.draw = Draw::new(seed);
        self.cpu.set_randomness(seed);
        self.script.clear();
        self.renew(maps);
        self.cpu.set_budget(self.budget);
    }

    /// What is proven of a program; `None` if that is nothing.
    pub(crate) fn prove(&mut self, program: &Arc<Program>) -> Result<Option<Verified>, String> {
        let maps = self.maps_of(program.ty)?;
        Ok(self.runtime.prove(program, &maps).ok())
    }

    /// What a proven program does in some runs; `None` if its proof is not worth anything here. All that is drawn for it comes from `seed`: of the
    /// programs before, only those that were kept are left.
    pub(crate) fn see(&mut self, verified: &Verified, seed: u64, rounds: usize) -> Result<Option<Seen>, String> {
        let program = verified.program();
        let maps = self.maps_of(program.ty)?;
        let Ok(prog) = self.runtime.load_verified(verified, maps.clone()) else { return Ok(None) };
        self.begin(&maps, seed);
        let mut ends = Vec::new();
        for _ in 0..rounds {
            self.fill(&maps, 0);
            let end = self.once(&prog).map(|ran| ran.value).map_err(|fault| fault.trap);
            ends.push((end, self.left(program.ty)));
        }
        let slot = self.draw.below(4) as u32;
        self.script.push(Step::Keep(slot));
        self.fill_slot(&maps, slot, &prog)?;
        // Programs in maps are numbered as they were loaded, which not each engine does with all.
        let plain = maps.iter().filter(|map| map.map.slots().is_none());
        let maps = plain.map(|map| (map.spec.name.to_string(), contents(map))).collect();
        Ok(Some(Seen { ends, maps, randomness: self.cpu.randomness() }))
    }

    fn fill_slot(&mut self, maps: &[LoadedMap], slot: u32, prog: &Arc<Prog>) -> Result<(), String> {
        self.kept.insert((prog.program().ty.0, slot), prog.program().clone());
        self.runtime.set_slot(&maps[PROGRAMS as usize], slot, prog).map_err(|refused| refused.to_string())
    }

    /// What the last run left of its packet and its context.
    fn left(&self, ty: ProgType) -> Vec<u8> {
        if ty == ProgType::XDP {
            return [self.xdp.meta(), self.xdp.to_vec()].concat();
        }
        let words = [self.skb.mark(), self.skb.priority()].into_iter().chain(self.skb.cb());
        words.flat_map(u32::to_ne_bytes).chain(self.skb.to_vec()).collect()
    }

    fn once(&mut self, prog: &Arc<Prog>) -> Result<Ran, Box<Fault>> {
        if let Some(holder) = &self.holder {
            holder.lock().unwrap_or_else(PoisonError::into_inner).begin();
        }
        let len = if self.draw.chance(1, 3) { self.draw.below(200) as usize } else { self.draw.of(&LENGTHS) };
        let mut packet = bytes(&mut self.draw, len.max(self.shortest));
        if self.shortest > 0 && packet.starts_with(&BROADCAST) {
            packet[5] ^= 1;
        }
        self.script.push(Step::Run(packet.clone()));
        const FAMILY: &str = "the program is of this family";
        match prog.program().ty {
            ProgType::XDP => {
                self.xdp.set(&packet);
                self.cpu.batch::<Xdp>(prog).expect(FAMILY).run(&self.xdp)
            }
            ty => {
                let start = if ty == ProgType::SOCKET_FILTER { Start::Network } else { Start::Link };
                self.skb.set(&packet, start);
                self.cpu.batch::<Skb>(prog).expect(FAMILY).run(&self.skb)
            }
        }
    }

    fn maps_of(&mut self, ty: ProgType) -> Result<Vec<LoadedMap>, String> {
        if let Some(maps) = self.maps.get(&ty.0) {
            return Ok(maps.clone());
        }
        let made = self.specs.iter().map(|spec| self.runtime.create_map(spec).map_err(|refused| refused.to_string()));
        let maps = made.collect::<Result<Vec<_>, _>>()?;
        self.maps.insert(ty.0, maps.clone());
        Ok(maps)
    }

    /// Other contents than before.
    fn renew(&mut self, maps: &[LoadedMap]) {
        for (n, map) in maps.iter().enumerate() {
            if let Some(streams) = map.map.streams() {
                streams.drain(&mut |_| {});
            }
            let mut value = vec![0; map.map.user_value_size()];
            match map.spec.def.ty {
                MapType::QUEUE | MapType::STACK => while map.map.take(&[], &mut value).is_ok() {},
                MapType::HASH | MapType::LRU_HASH | MapType::PERCPU_HASH | MapType::LPM_TRIE => self.empty(map),
                _ => {}
            }
            self.fill(maps, n);
        }
    }

    fn empty(&mut self, map: &LoadedMap) {
        let mut key = vec![0; map.spec.def.key_size as usize];
        while map.map.next_key(None, &mut key).is_ok() && map.map.remove(&key).is_ok() {}
    }

    /// Writes values of a map, of some keys.
    fn fill(&mut self, maps: &[LoadedMap], n: usize) {
        let map = &maps[n];
        let def = &map.spec.def;
        let size = map.map.user_value_size();
        let mut fill = |key: &[u8]| {
            let value = bytes(&mut self.draw, size);
            // A map that is full, or that programs alone write to, stays as it is.
            let _ = map.map.write(key, &value, 0);
            self.script.push(Step::Write { map: n, key: key.to_vec(), value });
        };
        match def.ty {
            MapType::ARRAY | MapType::PERCPU_ARRAY => (0..def.max_entries).for_each(|key| fill(&key.to_ne_bytes())),
            MapType::HASH => (0..3u64).for_each(|key| fill(&key.to_ne_bytes())),
            MapType::LRU_HASH | MapType::PERCPU_HASH => (0..3u32).for_each(|key| fill(&key.to_ne_bytes())),
            MapType::LPM_TRIE => [8u32, 24, 32].iter().for_each(|bits| fill(&u64::from(*bits).to_ne_bytes())),
            MapType::QUEUE | MapType::STACK => fill(&[]),
            _ => {}
        }
    }
}

/// Bytes of which edges, masks and small numbers are likelier than others.
fn bytes(draw: &mut Draw, len: usize) -> Vec<u8> {
    let words = std::iter::repeat_with(|| draw.word().to_ne_bytes());
    let mut bytes: Vec<u8> = words.take(len.div_ceil(8)).flatten().collect();
    bytes.truncate(len);
    bytes
}

/// Keys and values of a map, in the order of the keys.
fn contents(map: &LoadedMap) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut key = vec![0; map.spec.def.key_size as usize];
    let mut value = vec![0; map.map.user_value_size()];
    let mut more = map.map.next_key(None, &mut key).is_ok();
    while more {
        if map.map.read(&key, &mut value).is_ok() {
            entries.push([&key[..], &value].concat());
        }
        more = map.map.next_key(Some(&key.clone()), &mut key).is_ok();
    }
    entries.sort();
    entries.concat()
}
