//! The programs of a router's routes, in the user-space kernel whose host the router is.

use super::target::Wanted;
use crate::{failure::Failure, inspect, kernel::KernelOptions};
use alveary::{
    Loaded, Loader, Object, User, UserMap,
    net::router::{Programs, Router},
    runtime::{Clock, Prog},
};
use alveary_abi::{Profile, ProgType};
use alveary_diag::Diagnostic;
use std::{path::Path, sync::Arc};

/// Loaded programs, in the router's order.
pub(in super::super) struct Ready {
    user: User,
    progs: Vec<Arc<Prog>>,
    /// With their maps.
    loaded: Vec<Loaded<User>>,
}

/// Loads them; objects' paths count from where the topology's file is.
pub(in super::super) fn load(
    wanted: &[Wanted],
    router: &Arc<Router>,
    kernel: &KernelOptions,
    topology: &Path,
) -> Result<Ready, Failure> {
    let builder = User::builder().clock(Clock::Virtual { start: 0 }).host(router.clone());
    let user = kernel.user(builder, None)?.build();
    let (mut progs, mut all) = (Vec::new(), Vec::new());
    for one in wanted {
        let (path, name) = match one.said.rsplit_once(':') {
            Some((path, name)) if !name.is_empty() && !name.contains('/') => (path, Some(name)),
            _ => (&*one.said, None),
        };
        let path = topology.parent().unwrap_or(Path::new("")).join(path);
        let object = Object::open(&path)?;
        let name = choose(&object, name, one, &path)?;
        let loaded = Loader::new(user.clone()).program(&name).program_type(one.ty).load(&object)?;
        progs.push(loaded.program(&name)?.handle().prog().clone());
        all.push(loaded);
    }
    Ok(Ready { user, progs, loaded: all })
}

/// The program of that name, or the object's only one of that type.
fn choose(object: &Object, name: Option<&str>, wanted: &Wanted, path: &Path) -> Result<String, Diagnostic> {
    let row = |ty: ProgType| Profile::linux_6_18().prog_type(ty).map_or("another", |row| row.name);
    let wrong = |message: String| {
        Diagnostic::new("topology", message, wanted.at.clone())
            .expected(format!("a program of type {}", row(wanted.ty)))
    };
    if let Some(name) = name {
        let program = inspect::program(object.spec(), name, path)?;
        return match program.ty {
            // A section that says no type says nothing against it.
            None => Ok(program.name.clone()),
            Some(ty) if ty == wanted.ty => Ok(program.name.clone()),
            Some(ty) => Err(wrong(format!("program `{name}` does not go behind this route")).found(row(ty))),
        };
    }
    let all: Vec<_> = inspect::in_order(object.spec()).filter(|program| program.ty == Some(wanted.ty)).collect();
    match &all[..] {
        [one] => Ok(one.name.clone()),
        [] => Err(wrong(format!("{} has no program for this route", path.display()))),
        [first, ..] => Err(wrong(format!("several programs of {} could go behind this route", path.display()))
            .help(format!("name the one: `{}:{}`", wanted.said, first.name))),
    }
}

impl Ready {
    /// The maps of that name.
    pub(in super::super) fn maps(&self, name: &str) -> impl Iterator<Item = &UserMap> {
        self.loaded.iter().filter_map(move |loaded| loaded.map(name).ok())
    }

    /// Ready to run.
    pub(in super::super) fn programs(&self) -> Result<Programs, Failure> {
        Ok(Programs::new(self.user.vcpu(0)?, self.progs.clone()))
    }
}
