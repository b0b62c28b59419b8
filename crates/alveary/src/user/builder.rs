//! Settings of the user-space kernel.

use crate::User;
use alveary_abi::{Helper, Profile, Version};
use alveary_btf::Btf;
use alveary_net::{Host, Net, Skb, Xdp};
use alveary_runtime::{Args, Body, Builder, Cache, Clock, Cx, Engine, Family, Passes, Runtime, World};
use alveary_spec::{Kernel, Modules};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Builds a [`User`] target: which kernel it claims to be, what programs see of the world, what an embedder adds.
///
/// ```
/// use alveary::User;
/// let user = User::builder().cpus(4).seed(42).build();
/// assert!(user.vcpu(3).is_ok());
/// ```
pub struct UserBuilder {
    kernel: Kernel,
    world: World,
    trace_lines: usize,
    engine: Engine,
    native_limit: Option<usize>,
    passes: Passes,
    fuel: bool,
    harden: bool,
    cache: Option<Arc<Cache>>,
    net: Net,
    own: Vec<Box<dyn FnOnce(Builder) -> Builder>>,
}

impl Default for UserBuilder {
    fn default() -> UserBuilder {
        UserBuilder {
            kernel: Kernel::of(Profile::linux_6_18()),
            world: World::repeatable(),
            trace_lines: 4096,
            engine: Engine::default(),
            native_limit: None,
            passes: Passes::default(),
            fuel: false,
            harden: false,
            cache: None,
            net: Net::default(),
            own: Vec::new(),
        }
    }
}

impl UserBuilder {
    /// Claims to be this kernel: later helpers and map types are refused. Linux 6.18.44 unless told otherwise; of
    /// others the newest stable level that the tables describe.
    #[must_use]
    pub fn linux(mut self, version: Version) -> UserBuilder {
        self.kernel.profile = Profile::linux(version);
        self
    }

    /// Claims to be what this profile describes, an embedder's own rows included.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> UserBuilder {
        self.kernel.profile = profile;
        self
    }

    /// Number of virtual CPUs, thus of values in per-CPU maps; at least one.
    #[must_use]
    pub fn cpus(mut self, cpus: u32) -> UserBuilder {
        self.kernel.cpus = cpus.max(1);
        self
    }

    /// The kernel's types, which CO-RE relocations ask for. Without them objects that ask are refused.
    #[must_use]
    pub fn btf(mut self, btf: Arc<Btf>) -> UserBuilder {
        self.kernel.btf = Some(btf);
        self
    }

    /// The types of the kernel's modules, which CO-RE relocations ask for where its own have no answer.
    #[must_use]
    pub fn modules(mut self, modules: Modules) -> UserBuilder {
        self.kernel.modules = modules;
        self
    }

    /// The kernel's configuration, which `__kconfig` variables are filled from: names with `CONFIG_`, values as a
    /// configuration file writes them ([`alveary_object::parse_kconfig`] reads one).
    #[must_use]
    pub fn kconfig(mut self, options: BTreeMap<String, String>) -> UserBuilder {
        self.kernel.kconfig = options;
        self
    }

    /// Third number of the version that [`UserBuilder::linux`] claims (the 44 of 6.18.44): which rules of stable kernels
    /// count, and what programs read.
    #[must_use]
    pub fn patch_level(mut self, patch: u8) -> UserBuilder {
        self.kernel.profile = self.kernel.profile.at_level(patch);
        self
    }

    /// What programs see of the world; the same each time unless told otherwise.
    #[must_use]
    pub fn world(mut self, world: World) -> UserBuilder {
        self.world = world;
        self
    }

    /// The clock alone.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> UserBuilder {
        self.world.clock = clock;
        self
    }

    /// The seed of randomness alone.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> UserBuilder {
        self.world.seed = Some(seed);
        self
    }

    /// How many lines of `bpf_trace_printk` are kept until they are drained.
    #[must_use]
    pub fn trace_lines(mut self, lines: usize) -> UserBuilder {
        self.trace_lines = lines;
        self
    }

    /// What runs programs that are proven: [`Engine::Auto`] unless told otherwise, which makes native code of those that
    /// run often.
    ///
    /// ```
    /// use alveary::{Object, User, runtime::Engine};
    /// # fn main() -> alveary::Result<()> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/count.bpf.o");
    /// let loaded = Object::open(path)?.load(User::builder().engine(Engine::Interp).build())?;
    /// assert!(!loaded.program("count")?.handle().prog().is_native());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> UserBuilder {
        self.engine = engine;
        self
    }

    /// Which passes are made over programs that become native code: the usual ones unless told otherwise. What programs do does not
    /// depend on it.
    #[must_use]
    pub fn passes(mut self, passes: Passes) -> UserBuilder {
        self.passes = passes;
        self
    }

    /// How many bytes of native code there may be at once: 256 MiB unless told otherwise.
    #[must_use]
    pub fn native_limit(mut self, bytes: usize) -> UserBuilder {
        self.native_limit = Some(bytes);
        self
    }

    /// Lets the instructions of proven programs count against [`Vcpu::set_budget`](alveary_runtime::Vcpu::set_budget), too:
    /// at least as many as are run. They become native code at once then; where there is none, they run checked.
    ///
    /// ```
    /// use alveary::{Object, Packet, User};
    /// # fn main() -> alveary::Result<()> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/count.bpf.o");
    /// let loaded = Object::open(path)?.load(User::builder().fuel(true).build())?;
    /// let mut cpu = loaded.target().vcpu(0)?;
    /// cpu.set_budget(3);
    /// let mut packets = loaded.program("count")?.packets(&mut cpu)?;
    /// assert!(packets.run(&Packet { data: &[0; 64], ..Packet::default() }).is_err());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn fuel(mut self, counts: bool) -> UserBuilder {
        self.fuel = counts;
        self
    }

    /// Hides constants of programs in native code, so that nobody who writes a program chooses bytes that can be executed.
    #[must_use]
    pub fn harden(mut self, hides: bool) -> UserBuilder {
        self.harden = hides;
        self
    }

    /// Where native code of large programs is looked for and kept: nowhere unless told otherwise. `cache::users_own` is
    /// what the command line takes.
    #[must_use]
    pub fn cache(mut self, cache: Arc<Cache>) -> UserBuilder {
        self.cache = Some(cache);
        self
    }

    /// Adds a helper of an embedder: its row and its body.
    #[must_use]
    pub fn helper<B: Body>(mut self) -> UserBuilder {
        self.own.push(Box::new(|builder| builder.helper::<B>()));
        self
    }

    /// Adds a helper of an embedder whose body is a closure. `F` says whose context the body may use;
    /// [`AnyFamily`](alveary_runtime::AnyFamily): none, so that programs of all types may call it. If the body
    /// panics, the run ends, on every engine, and the panic goes on where the run was called.
    ///
    /// ```
    /// use alveary::abi::{Arg, Helper, HelperId, Proto};
    /// use alveary::{User, runtime::AnyFamily};
    ///
    /// static PRICE: Helper = Helper::new(HelperId::FIRST_OWN, "price")
    ///     .doc("The price of an article in cents.")
    ///     .protos(&[Proto::takes(&[Arg::Any])]);
    /// let prices = [250, 990];
    /// let user = User::builder()
    ///     .helper_fn::<AnyFamily>(&PRICE, move |_, args| prices.get(args.scalar(0) as usize).copied().unwrap_or(-1))
    ///     .build();
    /// assert!(user.runtime().has_helper(alveary::abi::ProgType::XDP, HelperId::FIRST_OWN));
    /// ```
    #[must_use]
    pub fn helper_fn<F: Family>(
        mut self,
        row: &'static Helper,
        body: impl Fn(&Cx<'_, F>, &Args<'_>) -> i64 + Send + Sync + 'static,
    ) -> UserBuilder {
        self.own.push(Box::new(move |builder| builder.helper_fn(row, body)));
        self
    }

    /// Whom packet helpers ask which devices and routes there are: a [`Router`](alveary_net::router::Router), say. Without
    /// one, every device and every route exists.
    #[must_use]
    pub fn host(mut self, host: impl Host + 'static) -> UserBuilder {
        self.net = Net::new(host);
        self
    }

    /// Adds a family of program types of an embedder, with the state that its helpers share.
    #[must_use]
    pub fn family<F: Family>(mut self, state: Arc<F::State>) -> UserBuilder {
        self.own.push(Box::new(|builder| builder.family::<F>(state)));
        self
    }

    /// The target.
    #[must_use]
    pub fn build(self) -> User {
        let UserBuilder { kernel, world, trace_lines, engine, native_limit, passes, fuel, harden, cache, net, own } =
            self;
        let net = Arc::new(net);
        let mut builder = Runtime::builder(kernel, world)
            .family::<Xdp>(net.clone())
            .family::<Skb>(net)
            .trace_lines(trace_lines)
            .engine(engine)
            .passes(passes)
            .fuel(fuel)
            .harden(harden);
        if let Some(bytes) = native_limit {
            builder = builder.native_limit(bytes);
        }
        if let Some(cache) = cache {
            builder = builder.cache(cache);
        }
        User { runtime: own.into_iter().fold(builder, |builder, add| add(builder)).build(), verifies: true }
    }
}

impl fmt::Debug for UserBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserBuilder")
            .field("cpus", &self.kernel.cpus)
            .field("world", &self.world)
            .finish_non_exhaustive()
    }
}
