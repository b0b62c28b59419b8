//! The running kernel's verdict.

use super::{
    objects::Object,
    verdict::{Outcome, Verdict, family, figure, message},
};
use alveary_linux::{
    btf,
    map::{self, MapFrom},
    prog::{self, ProgFrom},
    sys::{self, LogLevel},
};
use alveary_spec::{Initial, MapSpec, Program, Resolved};
use std::{
    collections::BTreeMap,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

/// An object's types and maps in the kernel, made when a program first needs them.
pub(crate) struct Kernel<'a> {
    object: &'a Object,
    btf: Option<OwnedFd>,
    maps: BTreeMap<String, sys::Map>,
}

impl<'a> Kernel<'a> {
    pub(crate) fn of(object: &'a Object) -> Kernel<'a> {
        let loaded = object.spec.btf.as_ref().and_then(|types| btf::load(types, None).ok());
        let btf = loaded.filter(|types| types.functions).map(|types| types.fd);
        Kernel { object, btf, maps: BTreeMap::new() }
    }

    /// The program as it is loaded: without types that the kernel does not take, as libbpf does it.
    pub(crate) fn loadable(&mut self, program: &Arc<Program>, resolved: &Resolved) -> Arc<Program> {
        const UNFIT: &str = "invalid type id # in func info";
        let (verdict, _) = self.judge(program, resolved, sys::LOG_STATS);
        if self.btf.is_some() && family(verdict.outcome.text()) != UNFIT {
            return program.clone();
        }
        Arc::new(Program { btf: None, funcs: Vec::new(), lines: Vec::new(), ..(**program).clone() })
    }

    /// The verdict and the log at `level`.
    pub(crate) fn judge(&mut self, program: &Program, resolved: &Resolved, level: LogLevel) -> (Verdict, String) {
        for name in &program.maps {
            if let Err(why) = self.make(name, resolved) {
                return (Verdict::none(format!("its map {name}: {why}")), String::new());
            }
        }
        let maps: Vec<_> = program.maps.iter().map(|name| self.maps[name].as_fd()).collect();
        let from = ProgFrom { maps: &maps, btf: self.btf.as_ref().map(AsFd::as_fd), log: level, ..ProgFrom::default() };
        match prog::load(program, &from) {
            Ok(loaded) => (verdict(Outcome::Accept, &loaded.log), loaded.log),
            Err(refused) if refused.log.trim().is_empty() => {
                (Verdict::none(format!("refused before it was verified: {}", refused.why)), String::new())
            }
            Err(refused) => (verdict(Outcome::Reject(message(&refused.log)), &refused.log), refused.log),
        }
    }

    fn make(&mut self, name: &str, resolved: &Resolved) -> Result<(), String> {
        if self.maps.contains_key(name) {
            return Ok(());
        }
        let spec = resolved.maps.get(name).ok_or("not resolved")?;
        let made = self.create(spec)?;
        self.maps.insert(name.to_owned(), made);
        Ok(())
    }

    fn create(&self, spec: &MapSpec) -> Result<sys::Map, String> {
        let inner = spec.inner.as_deref().map(|inner| self.create(inner)).transpose()?;
        if matches!(spec.initial, Initial::StructOps(_)) {
            return Err("an interface of the kernel".into());
        }
        let object = self.object.name();
        let from = MapFrom {
            object: &object,
            btf: self.btf.as_ref().map(AsFd::as_fd),
            inner: inner.as_ref().map(AsFd::as_fd),
            ..MapFrom::default()
        };
        map::create(spec, &from).map(|made| made.map).map_err(|e| e.to_string())
    }
}

fn verdict(outcome: Outcome, log: &str) -> Verdict {
    Verdict {
        outcome,
        insns: figure(log, "processed "),
        time: figure(log, "verification time ").map(Duration::from_micros),
        memory: None,
    }
}
