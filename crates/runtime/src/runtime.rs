//! The user-space kernel: which families, helpers and CPUs there are; makes maps, loads programs.

use crate::{
    Args, Bind, Body, Clock, Cx, Family, LoadedMap, NotLoaded, Prog, Trace, Trust, Vcpu, World,
    bind::Closure,
    context::Context,
    engine::{Engine, Engines},
    family::FamilyTable,
    helpers,
    load::{self, Lowered, Proven, Sites},
    trust::{Addresses, Inner, Proof},
};
use alveary_abi::{Helper, HelperId, MapDef, ProgType};
use alveary_diag::{Diagnostic, Place};
use alveary_maps::{Domain, Environment, Held, Map};
use alveary_spec::{Initial, Kernel, MapSpec, Program};
use alveary_verifier::{Report, Verdict, Verified};
use alveary_vm::{Cache, Image, Listed, Passes, Settings};
use std::{
    any::TypeId,
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

/// The user-space kernel. `Send` and `Sync`: virtual CPUs on many threads share one.
pub struct Runtime {
    kernel: Kernel,
    world: World,
    seed: u64,
    families: BTreeMap<u32, FamilyTable>,
    helpers: Vec<Bind>,
    /// How many of the helpers are the embedder's: the first ones.
    embedders: usize,
    closures: Vec<Arc<Closure>>,
    trace: Trace,
    engines: Engines,
    domain: Arc<Domain>,
    next_id: AtomicU32,
    next_map: AtomicU32,
    /// For each virtual CPU whether someone has it.
    pub(crate) taken: Vec<AtomicBool>,
}

/// Builds a [`Runtime`].
pub struct Builder {
    kernel: Kernel,
    world: World,
    families: BTreeMap<u32, FamilyTable>,
    helpers: Vec<Bind>,
    closures: Vec<Arc<Closure>>,
    trace_lines: usize,
    engine: Engine,
    settings: Settings,
    cache: Option<Arc<Cache>>,
}

impl Builder {
    /// Runs programs of family `F`.
    #[must_use]
    pub fn family<F: Family>(mut self, state: Arc<F::State>) -> Builder {
        let table = FamilyTable::of::<F>(state);
        for ty in F::TYPES {
            self.families.insert(ty.0, table.clone());
        }
        self
    }

    /// Adds a helper: for programs of `B`'s family, or, if that is [`crate::AnyFamily`], for all that its row admits.
    ///
    /// If the kernel's profile has no row of its number, `B`'s is added.
    #[must_use]
    pub fn helper<B: Body>(mut self) -> Builder {
        let bind = Bind::of::<B>();
        self.know(bind.row);
        self.helpers.push(bind);
        self
    }

    /// Adds a helper whose body is a closure, otherwise as [`Builder::helper`]: for programs of family `F`, or, if that
    /// is [`crate::AnyFamily`], for all that the row admits. One program may call 32 such helpers. If the body panics,
    /// the run ends, on every engine, and the panic goes on where the run was called.
    #[must_use]
    pub fn helper_fn<F: Family>(
        mut self,
        row: &'static Helper,
        body: impl Fn(&Cx<'_, F>, &Args<'_>) -> i64 + Send + Sync + 'static,
    ) -> Builder {
        self.know(row);
        self.closures.push(Arc::new(Closure::new(row, body)));
        self
    }

    /// Adds a row to the profile, unless there is one of that number.
    fn know(&mut self, row: &'static Helper) {
        let profile = &self.kernel.profile;
        if profile.helper(row.id).is_none() {
            let tables = profile.tables().clone().with_helper(row);
            self.kernel.profile =
                alveary_abi::Profile::new(profile.version, profile.limits, tables).at_level(profile.patch());
        }
    }

    /// How many lines of `bpf_trace_printk` are kept until they are drained.
    #[must_use]
    pub fn trace_lines(mut self, lines: usize) -> Builder {
        self.trace_lines = lines;
        self
    }

    /// What runs proven programs: [`Engine::Auto`] unless told otherwise.
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> Builder {
        self.engine = engine;
        self
    }

    /// How many bytes of native code there may be at once: 256 MiB unless told otherwise. With [`Engine::Auto`] programs
    /// beyond it stay interpreted.
    #[must_use]
    pub fn native_limit(mut self, bytes: usize) -> Builder {
        self.settings.limit = bytes;
        self
    }

    /// Whether the instructions of proven programs count against the budget, too ([`Vcpu::set_budget`]): an
    /// instruction by one. What is left out of native code, since it is known how it ends, is not counted. They become native code at once then; where there is none, they run checked.
    #[must_use]
    pub fn fuel(mut self, counts: bool) -> Builder {
        self.settings.fuel = counts;
        self
    }

    /// Whether constants of programs are hidden in native code, so that nobody who writes a program chooses bytes that can
    /// be executed.
    #[must_use]
    pub fn harden(mut self, hides: bool) -> Builder {
        self.settings.harden = hides;
        self
    }

    /// Where native code of large programs is looked for and kept. Nowhere unless told otherwise.
    #[must_use]
    pub fn cache(mut self, cache: Arc<Cache>) -> Builder {
        self.cache = Some(cache);
        self
    }

    /// Which passes are made over proven programs, most of them where native code is made: the usual ones unless told
    /// otherwise.
    #[must_use]
    pub fn passes(mut self, passes: Passes) -> Builder {
        self.settings.passes = passes;
        self
    }

    /// The runtime.
    #[must_use]
    pub fn build(self) -> Arc<Runtime> {
        let cpus = self.kernel.cpus.max(1);
        let mut helpers = self.helpers;
        let embedders = helpers.len();
        helpers.extend(helpers::common());
        Arc::new(Runtime {
            seed: self.world.seed(),
            kernel: self.kernel,
            world: self.world,
            families: self.families,
            helpers,
            embedders,
            closures: self.closures,
            trace: Trace::new(self.trace_lines),
            engines: Engines::new(self.engine, self.settings, self.cache),
            domain: Domain::new(),
            next_id: AtomicU32::new(1),
            next_map: AtomicU32::new(1),
            taken: (0..cpus).map(|_| AtomicBool::new(false)).collect(),
        })
    }
}

impl Runtime {
    /// A runtime that claims to be `kernel`, in `world`; families are added.
    #[must_use]
    pub fn builder(kernel: Kernel, world: World) -> Builder {
        Builder {
            kernel,
            world,
            families: BTreeMap::new(),
            helpers: Vec::new(),
            closures: Vec::new(),
            trace_lines: 4096,
            engine: Engine::default(),
            settings: Settings::default(),
            cache: None,
        }
    }

    /// What it claims to be.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// What programs see of the world.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The seed of all randomness: the world's, or the one that was drawn.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What programs print.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Whether programs of this type run here.
    #[must_use]
    pub fn runs(&self, ty: ProgType) -> bool {
        self.families.contains_key(&ty.0)
    }

    /// Whether a program of this type, without an attach type, may call the helper and finds a body for it.
    #[must_use]
    pub fn has_helper(&self, ty: ProgType, id: HelperId) -> bool {
        let profile = &self.kernel.profile;
        let Some(proto) = profile.helper(id).and_then(|row| row.proto(ty, None, profile.version)) else { return false };
        let Some(family) = self.families.get(&ty.0) else { return false };
        let mut there = load::bodies(family, &self.helpers, &self.closures, TypeId::of::<helpers::AnyFamily>());
        there.any(|(b, _)| b.row.id == id && *b.args == proto.args)
    }

    /// Virtual CPU `number`, unless there is no such CPU or someone has it.
    #[must_use]
    pub fn vcpu(self: &Arc<Self>, number: u32) -> Option<Vcpu> {
        let taken = self.taken.get(number as usize)?.swap(true, Ordering::Acquire);
        (!taken).then(|| Vcpu::new(self.clone(), number))
    }

    /// Makes a map and gives it its first content. Slots that name programs or maps are the loader's to fill.
    ///
    /// # Errors
    /// If the kernel would not make it: why, by the map's name.
    pub fn create_map(&self, spec: &MapSpec) -> Result<LoadedMap, Diagnostic> {
        let environment = Environment {
            cpus: self.kernel.cpus.max(1),
            page: self.kernel.page,
            seed: self.seed,
            domain: self.domain.clone(),
        };
        let map = alveary_maps::create(&spec.def, spec.inner.as_ref().map(|inner| &inner.def), &environment).map_err(
            |mut d| {
                d.message = format!("map `{}`: {}", spec.name, d.message).into();
                d
            },
        )?;
        let id = self.next_map.fetch_add(1, Ordering::Relaxed);
        let map = LoadedMap::made(Arc::new(spec.clone()), map, id, Some(self.domain.clone()));
        if let Initial::Bytes(bytes) = &spec.initial {
            let mut value = bytes.clone();
            value.resize(map.map.user_value_size(), 0);
            map.map.write(&0u32.to_ne_bytes(), &value, 0).map_err(|e| map.refused("its initial value", e))?;
        }
        if spec.freeze {
            map.map.freeze();
        }
        Ok(map)
    }

    /// Loads a program that the verifier proves: it runs as it is. One that the verifier cannot judge is loaded to run
    /// checked; [`Prog::trust`] says which, and why. `maps` are those that it names, in its order.
    ///
    /// # Errors
    /// The verifier's word, and as [`Runtime::load_unverified`].
    pub fn load(&self, program: Arc<Program>, maps: Vec<LoadedMap>) -> Result<Arc<Prog>, NotLoaded> {
        let maps = self.accept(&program, maps)?;
        let why = match Proof::of(&program, &self.kernel, &maps) {
            Ok(proof) => match self.load_proven(&program, &maps, proof) {
                Ok(prog) => return Ok(prog),
                Err(why) => why,
            },
            Err(report) => match &report.verdict {
                Verdict::Reject(why) => {
                    // What is not here is said in words that help more.
                    let of_program = maps.clone();
                    self.load_checked(program.clone(), maps, Trust::Unverified)?;
                    let explained = Proof::explain(&program, &self.kernel, &of_program, &report);
                    let why = load::rejected(&program, why, explained);
                    return Err(NotLoaded { why, rejected: Some(report) });
                }
                Verdict::Refused { reason, .. } => reason.clone(),
                Verdict::Accept => "it is not proven".to_owned(),
            },
        };
        // What no engine runs is refused for that.
        let prog = self.load_checked(program.clone(), maps, Trust::NotProven(why.clone()))?;
        self.may_be_interpreted(&program, &why)?;
        Ok(prog)
    }

    /// Proves a program for this runtime and these maps, which are those that it names, in its order.
    ///
    /// # Errors
    /// The verifier's report.
    pub fn prove(&self, program: &Arc<Program>, maps: &[LoadedMap]) -> Result<Verified, Box<Report>> {
        Proof::of(program, &self.kernel, maps).map(Proof::into_verified)
    }

    /// Loads a program that was proven already ([`Runtime::prove`]), here or by another runtime of the same kernel: it runs
    /// as it is. `maps` are those that it names, in its order.
    ///
    /// # Errors
    /// If the proof does not hold here, since the kernel is another or the maps are not like those that it was made for;
    /// and as [`Runtime::load_unverified`].
    pub fn load_verified(&self, verified: &Verified, maps: Vec<LoadedMap>) -> Result<Arc<Prog>, Diagnostic> {
        let program = verified.program();
        let maps = self.accept(program, maps)?;
        let proof = Proof::made(verified, &self.kernel, &maps).ok_or_else(|| load::proven_elsewhere(program))?;
        self.load_proven(program, &maps, proof).map_err(|why| load::not_worth(program, &why))
    }

    /// Loads a program that nothing vouches for: it runs checked.
    ///
    /// # Errors
    /// What it needs and is not here, by name and place: its type, a helper, a map, an instruction.
    pub fn load_unverified(&self, program: Arc<Program>, maps: Vec<LoadedMap>) -> Result<Arc<Prog>, Diagnostic> {
        let maps = self.accept(&program, maps)?;
        let prog = self.load_checked(program.clone(), maps, Trust::Unverified)?;
        self.may_be_interpreted(&program, "it is not verified")?;
        Ok(prog)
    }

    /// What a program becomes on its way to native code, function by function, whichever engine runs it: for people to look
    /// at.
    ///
    /// # Errors
    /// Why there is no native code for it.
    pub fn list(&self, prog: &Prog) -> Result<Vec<Listed>, Diagnostic> {
        let link = Addresses { maps: &prog.maps, sites: &prog.sites };
        self.engines.list(&prog.code, &link).map_err(|why| load::not_native(&prog.program, &why))
    }

    /// Nothing is, where native code alone is asked for: `why` there is none.
    fn may_be_interpreted(&self, program: &Program, why: &str) -> Result<(), Diagnostic> {
        if self.engines.engine == Engine::Jit { Err(load::not_native(program, why)) } else { Ok(()) }
    }

    /// That type and maps of a program are this runtime's.
    fn accept(&self, program: &Program, maps: Vec<LoadedMap>) -> Result<Box<[LoadedMap]>, Diagnostic> {
        if !self.runs(program.ty) {
            let there = self.families.keys().map(|ty| ProgType(*ty));
            return Err(load::unsupported_type(program, &self.kernel.profile, there));
        }
        match maps.iter().find(|map| !map.is_of(&self.domain)) {
            Some(map) => Err(load::foreign_map(program, map)),
            None => Ok(maps.into()),
        }
    }

    /// Loads a proven program, unless its proof is not worth anything here: why.
    fn load_proven(&self, program: &Arc<Program>, maps: &[LoadedMap], proof: Proof) -> Result<Arc<Prog>, String> {
        // The code names maps by where they stand: in the box that the program keeps.
        let maps: Box<[LoadedMap]> = maps.into();
        let family = &self.families[&program.ty.0];
        let context = self.context(program, family);
        let virtual_time = matches!(self.world.clock, Clock::Virtual { .. });
        let proven = Proven::new(proof.verified(), &context, virtual_time, self.engines.passes());
        let lowered =
            load::lower(self.sites(program, family, &maps), Some(proven)).map_err(|why| why.message.to_string())?;
        if let Some(doubt) = proof.doubt(&lowered.sites) {
            return Err(doubt);
        }
        let image = proof.image(&self.engines, &lowered.code, &maps, &lowered.sites)?;
        let trust = Trust::Proven(Box::new(proof.into_verified()));
        Ok(self.prog(program.clone(), maps, context, lowered, image, trust))
    }

    fn load_checked(
        &self,
        program: Arc<Program>,
        maps: Box<[LoadedMap]>,
        trust: Trust,
    ) -> Result<Arc<Prog>, Diagnostic> {
        let family = &self.families[&program.ty.0];
        let lowered = load::lower(self.sites(&program, family, &maps), None)?;
        let image = Image::checked(&lowered.code, &Addresses { maps: &maps, sites: &lowered.sites })
            .map_err(|e| load::refused_by_engine(&program, &e))?;
        let context = self.context(&program, family);
        Ok(self.prog(program, maps, context, lowered, image, trust))
    }

    pub(crate) fn context(&self, program: &Program, family: &FamilyTable) -> Context {
        let profile = &self.kernel.profile;
        let layout = profile.prog_type(program.ty).and_then(|row| row.ctx);
        Context::new(layout, family, program, profile.version)
    }

    pub(crate) fn sites<'a>(
        &'a self,
        program: &'a Program,
        family: &'a FamilyTable,
        maps: &'a [LoadedMap],
    ) -> Sites<'a> {
        Sites {
            program,
            profile: &self.kernel.profile,
            family,
            common: &self.helpers,
            common_family: TypeId::of::<helpers::AnyFamily>(),
            embedders: self.embedders,
            maps,
            found: Vec::new(),
            calls: Vec::new(),
            closures: &self.closures,
            called: Vec::new(),
        }
    }

    fn prog(
        &self,
        program: Arc<Program>,
        maps: Box<[LoadedMap]>,
        context: Context,
        lowered: Lowered,
        image: Image,
        trust: Trust,
    ) -> Arc<Prog> {
        let Lowered { code, sites, closures, leaves_context } = lowered;
        Arc::new(Prog {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            context,
            family: self.families[&program.ty.0].clone(),
            program,
            maps,
            all_cpus: sites.iter().any(|s| s.row.id == HelperId::MAP_LOOKUP_PERCPU_ELEM),
            sites: sites.into(),
            closures: closures.into(),
            leaves_context,
            domain: self.domain.clone(),
            code,
            image,
            trust,
        })
    }

    /// Puts a program into a slot of a prog array. All of an array's programs are of the type of its first.
    ///
    /// # Errors
    /// If the map is no prog array, the index is behind its end, the program is of another type, or one of them belongs
    /// to another runtime.
    pub fn set_slot(&self, map: &LoadedMap, index: u32, prog: &Arc<Prog>) -> Result<(), Diagnostic> {
        let refused = |what: String| {
            let message = format!("program `{}` cannot go into map `{}`", prog.program.name, map.spec.name);
            Diagnostic::new("prog-slot", message, Place::Nowhere).found(what)
        };
        let slots = map.map.slots().ok_or_else(|| refused("no prog array".into()))?;
        if !map.is_of(&self.domain) || !Arc::ptr_eq(&prog.domain, &self.domain) {
            return Err(refused("a map or a program of another runtime".into()));
        }
        let ty = prog.program.ty;
        let owner = *map.owner.get_or_init(|| ty);
        if owner != ty {
            let name = |ty| self.kernel.profile.prog_type(ty).map_or("?", |row| row.name);
            return Err(refused(format!("a program of type `{}`", name(ty)))
                .expected(format!("type `{}`, as the first", name(owner))));
        }
        slots
            .set(&index.to_ne_bytes(), Some(prog.clone()), 0)
            .map_err(|e| refused(format!("slot {index}, error {}", e.0)))
    }

    /// Puts a map into an entry of a map of maps; `flags` are those of an update. What it takes the place of lives on
    /// while a program may use it.
    ///
    /// # Errors
    /// If the first one holds no maps, the second one is not like its template, or the key or the flags are wrong.
    pub fn set_map(&self, map: &LoadedMap, key: &[u8], inner: &LoadedMap, flags: u64) -> Result<(), Diagnostic> {
        let refused = |what: String| {
            let message = format!("map `{}` cannot go into map `{}`", inner.spec.name, map.spec.name);
            Diagnostic::new("map-slot", message, Place::Nowhere).found(what)
        };
        let template = map.spec.inner.as_ref().ok_or_else(|| refused("no map of maps".into()))?;
        let slots = map.map.slots().ok_or_else(|| refused("no map of maps".into()))?;
        if let Some(foreign) = [map, inner].into_iter().find(|map| !map.is_of(&self.domain)) {
            return Err(refused(format!("map `{}` of another runtime", foreign.spec.name)));
        }
        let held: Arc<dyn Held> = Arc::new(Inner(inner.clone()));
        slots.set(key, Some(held), flags).map_err(|e| {
            let like = |def: &MapDef| {
                let name = self.kernel.profile.map_type(def.ty).map_or("?", |row| row.name);
                let MapDef { key_size, value_size, max_entries, .. } = def;
                format!("{name}, keys of {key_size} bytes, values of {value_size}, {max_entries} entries")
            };
            let found = format!("{}; entry {key:02x?}", like(&inner.spec.def));
            refused(found).expected(format!("a map like {}", like(&template.def))).kernel(e.to_string())
        })
    }

    /// The virtual CPUs that may see what maps give up.
    pub(crate) fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("families", &self.families).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("families", &self.families).finish_non_exhaustive()
    }
}

/// What is shared between threads says so.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Runtime>();
    shared::<Prog>();
    shared::<LoadedMap>();
    shared::<Arc<dyn Map>>();
    sent::<Vcpu>();
};
