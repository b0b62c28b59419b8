//! `alveary srv6 route add`.

use super::{
    super::{
        behaviour::{Hook, Kind, Parameters, ROWS, Row},
        prefix::{MAIN, Prefix, table},
        refused::refused,
        routed_device,
    },
    encap, show,
};
use crate::{bpftool::device, failure::Failure, inspect, kernel::KernelOptions, output};
use alveary::{
    Linux, Loaded, Loader, Object,
    kernel::netlink::srv6::{Existing, Next, RouteKey, RouteProgram, SteeredRoute},
};
use alveary_abi::{Profile, ProgType};
use alveary_diag::{Diagnostic, Place};
use alveary_spec::ProgramSpec;
use clap::{Args, builder::PossibleValuesParser};
use std::{
    net::IpAddr,
    os::fd::{AsFd, AsRawFd},
    path::Path,
};

/// Add a route; a program of one is loaded, and lives as long as the route
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 route add fc00:e::/64 End --flavours next-csid --dev eth0
  alveary srv6 route add fc00:f::1 End.BPF tag.bpf.o:tag --dev eth0
  alveary srv6 route add 10.1.0.0/16 H.Encaps --segments fc00:1::1,fc00:2::1 --dev eth0 --replace")]
pub(super) struct Add {
    /// Where packets go to, or the segment
    #[arg(value_name = "PREFIX")]
    destination: Prefix,

    /// What is done with them: End, End.X, End.T, End.DX2, End.DX4, End.DX6, End.DT4, End.DT6, End.DT46, End.B6,
    /// End.B6.Encaps, End.BPF; H.Encaps, H.Encaps.Red, H.L2Encaps, H.L2Encaps.Red, H.Insert; lwt_in, lwt_out, lwt_xmit
    #[arg(value_name = "BEHAVIOUR", value_parser = PossibleValuesParser::new(ROWS.iter().map(|row| row.name)), hide_possible_values = true, ignore_case = true)]
    behaviour: String,

    /// The object, and the name of its program if it has several: End.BPF, lwt_in, lwt_out, lwt_xmit
    #[arg(value_name = "OBJ[:PROG]")]
    program: Option<String>,

    #[command(flatten)]
    parameters: Parameters,

    /// The device that packets leave by; segments too have to have one, which is not used by all
    #[arg(long, value_name = "IF")]
    dev: String,

    /// The next hop
    #[arg(long, value_name = "ADDR")]
    via: Option<IpAddr>,

    /// The table that the route goes into: a number, or `main`, `local`, `default`
    #[arg(long, value_name = "TABLE", value_parser = table, default_value_t = MAIN)]
    table: u32,

    /// Among routes to the same destination the one with the lowest metric counts
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    metric: u32,

    /// Take the place of a route that is there
    #[arg(long)]
    replace: bool,

    #[command(flatten)]
    kernel: KernelOptions,
}

impl Add {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let row = Row::named(&self.behaviour)?;
        self.parameters.check(row, self.program.is_some())?;
        let device =
            if self.destination.address.is_ipv6() { routed_device(&self.dev) } else { device::named(&self.dev) }?;
        // The programs live until the route holds them.
        let held = self.program.as_deref().map(|said| self.load(row, said)).transpose()?;
        let encap = encap::of(row, &self.parameters, held.as_ref().map(|(_, program)| program.clone()))?;
        let Prefix { address, bits } = self.destination;
        let key = RouteKey { destination: address, prefix: bits, table: self.table, metric: self.metric };
        let next = Next { device, gateway: self.via, encap: Some(encap), weight: 0 };
        let route = SteeredRoute { key, next: vec![next] };
        let existing = if self.replace { Existing::Replaced } else { Existing::Kept };
        route.add(existing).map_err(|why| {
            let said = refused(format!("the route to {} cannot be added", self.destination), &why);
            if self.parameters.vrf.is_some() {
                return said.expected("a kernel with CONFIG_NET_VRF, and a VRF device with this table");
            }
            said
        })?;
        if json {
            return output::object(&serde_json::json!({ "added": show::json(&route) }));
        }
        output::plain(&format!("added the route to {}\n", self.destination))
    }

    fn load(&self, row: &Row, said: &str) -> Result<(Loaded<Linux>, RouteProgram), Failure> {
        let (path, wanted) = match said.rsplit_once(':') {
            Some((path, name)) if !name.is_empty() && !name.contains('/') => (path, Some(name)),
            _ => (said, None),
        };
        let path = Path::new(path);
        let object = Object::open(path)?;
        let ty = program_type(row.kind);
        let name = match wanted {
            Some(name) => inspect::program(object.spec(), name, path)?.name.clone(),
            None => only(&object, ty, path)?,
        };
        let there = object.spec().programs.get(&*name).and_then(|program| program.ty);
        // A section that says no type says nothing against it.
        if let Some(there) = there.filter(|there| *there != ty) {
            let called =
                |ty: ProgType| alveary_abi::Profile::linux_6_18().prog_type(ty).map_or("another", |row| row.name);
            return Err(Diagnostic::new(
                "srv6",
                format!("program `{name}` does not go behind {}", row.name),
                Place::Nowhere,
            )
            .expected(format!("a program of type {}", called(ty)))
            .found(called(there))
            .in_file(path.display().to_string())
            .into());
        }
        let linux = self.kernel.linux(Linux::builder())?.build();
        let loaded = Loader::new(linux).program(&name).program_type(ty).load(&object)?;
        let fd = loaded.program(&name)?.handle().as_fd().as_raw_fd();
        let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok((loaded, RouteProgram { fd: Some(fd), id: None, name: format!("{file}:{name}") }))
    }
}

fn program_type(kind: Kind) -> ProgType {
    match kind {
        Kind::Hook(Hook::In) => ProgType::LWT_IN,
        Kind::Hook(Hook::Out) => ProgType::LWT_OUT,
        Kind::Hook(Hook::Xmit) => ProgType::LWT_XMIT,
        Kind::Endpoint(_) | Kind::Headend(_) => ProgType::LWT_SEG6LOCAL,
    }
}

/// A type by its name.
fn called(ty: ProgType) -> &'static str {
    Profile::linux_6_18().prog_type(ty).map_or("another", |row| row.name)
}

/// The object's only program of a type.
fn only(object: &Object, ty: ProgType, path: &Path) -> Result<String, Failure> {
    let all: Vec<&str> = inspect::in_order(object.spec()).filter(|p| p.ty == Some(ty)).map(|p| &*p.name).collect();
    match all[..] {
        [one] => Ok(one.to_owned()),
        [] => {
            let said =
                |program: &ProgramSpec| format!("`{}` of type {}", program.name, program.ty.map_or("unknown", called));
            let found: Vec<String> = inspect::in_order(object.spec()).map(said).collect();
            Err(Diagnostic::new("no-program", "the object has no program for that", Place::Nowhere)
                .expected(format!("a program of type {}", called(ty)))
                .found(if found.is_empty() { "none".to_owned() } else { found.join(", ") })
                .in_file(path.display().to_string())
                .into())
        }
        [first, ..] => {
            Err(Diagnostic::new("which-program", "several programs of the object could go there", Place::Nowhere)
                .found(all.join(", "))
                .help(format!("name the one: `{}:{first}`", path.display()))
                .in_file(path.display().to_string())
                .into())
        }
    }
}
