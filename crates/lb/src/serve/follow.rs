//! The configuration, followed: the file, and the VIPs in etcd.

use super::Server;
use crate::{
    Fault,
    apply::Changed,
    config::{self, Config, Mode, Places},
    etcd::News,
    shared::{self, Shared},
};
use alveary::kernel::{
    attach::Device,
    netlink::{XdpSlot, device_xdp},
};
use alveary_diag::Diagnostic;
use std::{fs, path::Path, time::SystemTime};

impl Server<'_> {
    /// Keeps the VIPs that etcd had, since they are right.
    pub(super) fn keep(&mut self) {
        if let (Some(etcd), Some((one, _))) = (&self.config.etcd, &self.shared)
            && let Err(why) = one.keep(etcd)
        {
            (self.log)(&format!("{}: the VIPs cannot be kept in {}: {why}", self.config.name, etcd.kept.display()));
        }
    }

    /// What etcd says.
    pub(super) fn told(&mut self, news: News) {
        let (name, Some(etcd), Some((before, standing))) =
            (self.config.name.clone(), self.config.etcd.clone(), self.shared.take())
        else {
            return;
        };
        let mut standing = shared::Standing { gone: None, ..standing };
        let found = match news {
            News::Value(found) => found,
            News::Missing => {
                (self.log)(&format!("{name}: the key `{}` is gone from etcd: VIPs stay as they are", etcd.key));
                standing.refused = Some("the key is not there".into());
                self.refused = None;
                self.shared = Some((before, standing));
                return;
            }
            News::Gone(why) => {
                (self.log)(&format!("{name}: {why}: VIPs stay as they are"));
                standing.gone = Some(why);
                self.shared = Some((before, standing));
                return;
            }
            News::Back => {
                (self.log)(&format!("{name}: etcd answers again"));
                self.shared = Some((before, standing));
                return;
            }
        };
        let revision = found.revision;
        self.shared = Some((before, standing));
        self.refused = None;
        let done = match Shared::of(&etcd, found) {
            Ok(one) => self.take_shared(one).map(drop),
            Err(why) => Err(self.refuse(vec![why])),
        };
        let Err(faults) = done else { return };
        let whose = if self.refused.is_none() || self.is_right() {
            format!("what etcd has in revision {revision} is wrong")
        } else {
            format!(
                "{} is wrong, and what etcd has in revision {revision} waits until it is right",
                self.path.display()
            )
        };
        (self.log)(&format!("{name}: {whose}: VIPs stay as they are"));
        faults.iter().for_each(|fault| (self.log)(&fault.to_string()));
    }

    /// Notes why what etcd has is not what holds.
    fn refuse(&mut self, faults: Vec<Fault>) -> Vec<Fault> {
        if let Some((_, standing)) = &mut self.shared {
            standing.refused = Some(shared::words(&faults));
        }
        faults
    }

    /// Whether the file is right with the VIPs that hold.
    fn is_right(&self) -> bool {
        let read = read(&self.path, self.shared.as_ref().map(|(one, _)| one), Some(&self.config));
        read.is_ok_and(|(config, places)| self.fixed(&config, &places).is_empty())
    }

    /// Reads the configuration again: one that is wrong changes nothing.
    pub(super) fn reload(&mut self) {
        if let Err(faults) = self.try_reload() {
            (self.log)(&format!("{}: the configuration stays as it was", self.config.name));
            for fault in faults {
                (self.log)(&fault.to_string());
            }
        }
    }

    /// The same; gives what has changed, and what waits. What etcd had last, and was refused, is tried first.
    pub(super) fn try_reload(&mut self) -> std::result::Result<Reloaded, Vec<Fault>> {
        match self.refused.take().map(|one| self.take_shared(one)) {
            Some(Ok(reloaded)) => Ok(reloaded),
            // It may be as wrong as it was; that keeps nobody from changing the file.
            Some(Err(_)) | None => self.take(),
        }
    }

    /// Takes the file with these VIPs; where that is refused, those that hold stay, and these wait for another file.
    fn take_shared(&mut self, one: Shared) -> std::result::Result<Reloaded, Vec<Fault>> {
        let Some((before, standing)) = self.shared.take() else { return self.take() };
        self.shared = Some((one.clone(), shared::Standing { refused: None, ..standing.clone() }));
        match self.take() {
            Ok(reloaded) => {
                self.keep();
                Ok(reloaded)
            }
            Err(faults) => {
                (self.shared, self.refused) = (Some((before, standing)), Some(one));
                Err(self.refuse(faults))
            }
        }
    }

    /// Takes the file as it is, with the VIPs that hold.
    fn take(&mut self) -> std::result::Result<Reloaded, Vec<Fault>> {
        self.changed = modified(&self.path);
        let (config, places) = read(&self.path, self.shared.as_ref().map(|(one, _)| one), Some(&self.config))?;
        let fixed = self.fixed(&config, &places);
        if !fixed.is_empty() {
            return Err(fixed.into_iter().map(Fault::from).collect());
        }
        let waits = self.waits(&config, &places);
        let (before, control) = (std::mem::replace(&mut self.config, config), self.control.clone());
        let done = self.configure().and_then(|()| self.settle());
        match done.and_then(|changed| Ok((changed, self.instance.attach(&self.config)?))) {
            Ok((changed, notes)) => {
                let size = self.size();
                notes.iter().chain(&waits).for_each(|note| (self.log)(note));
                let Changed { vips, reals, keys } = changed;
                let name = &self.config.name;
                (self.log)(&format!("{name}: read again, {size}; changed: VIPs {vips}, reals {reals}, keys {keys}"));
                Ok(Reloaded { changed, waits })
            }
            Err(why) => {
                (self.config, self.control) = (before, control);
                let mut all = vec![why];
                all.extend(self.configure().and_then(|()| self.settle()).err());
                Err(all)
            }
        }
    }

    /// What a process cannot take while it serves.
    fn fixed(&self, config: &Config, places: &Places) -> Vec<Diagnostic> {
        let ours = &self.config;
        let announces = config.announce == ours.announce;
        let fixed = [
            ("balancer", "name", config.name == ours.name),
            ("balancer", "seed", config.seed == ours.seed),
            ("api", "socket", config.api.socket == ours.api.socket),
            ("api", "address", config.api.address == ours.api.address),
            ("api", "token", config.api.token == ours.api.token),
            ("api", "certificate", config.api.tls == ours.api.tls),
            ("metrics", "address", config.metrics == ours.metrics),
            ("configuration", "katran", config.katran == ours.katran),
            ("configuration", "announce", announces),
            ("configuration", "etcd", config.etcd == ours.etcd),
            ("configuration", "sync", config.sync == ours.sync),
        ];
        let changed = fixed.into_iter().filter(|(_, _, same)| !same);
        let wrong = |(table, key, _): (&'static str, &'static str, _)| {
            let what = if table == "configuration" { format!("[{key}]") } else { format!("`{key}` in [{table}]") };
            let wrong = Diagnostic::new("lb-reload", format!("{what} is set when it begins"), places.of(table, key));
            // Flows that are known stand where hashes with the old one say.
            if matches!(key, "seed" | "katran") {
                let stop = format!("`alveary lb stop {}`, and `serve` again: connections are forgotten", ours.name);
                return wrong.help(stop);
            }
            wrong.help(format!(
                "end `alveary lb serve` (kill {}), and start it again: packets go on meanwhile",
                std::process::id()
            ))
        };
        let mut all: Vec<Diagnostic> = changed.map(wrong).collect();
        places.order(&mut all);
        all
    }

    /// What is taken only when something is made anew.
    pub(super) fn waits(&self, config: &Config, places: &Places) -> Vec<String> {
        let (now, first) = (&config.limits, &self.first);
        let otherwise = otherwise(config);
        let (stop, serve) = ("`alveary lb stop` and `serve`", "`serve` is started again");
        let waiting = [
            ("balancer", "mode", otherwise.is_empty(), stop),
            ("limits", "vips", now.vips == first.vips, stop),
            ("limits", "reals", now.reals == first.reals, stop),
            ("limits", "slots", now.slots == first.slots, stop),
            ("limits", "connections", now.connections == first.connections, stop),
            ("limits", "connections-per-cpu", now.connections_per_cpu == first.connections_per_cpu, serve),
        ];
        let changed = waiting.into_iter().filter(|(_, _, same, _)| !same);
        changed
            .map(|(table, key, _, until)| {
                let message = format!("`{key}` in [{table}] waits until {until}: what runs keeps what it began with");
                let waits = Diagnostic::new("lb-reload", message, places.of(table, key));
                let says = if key == "mode" { waits.found(otherwise.join(", ")) } else { waits };
                says.to_string()
            })
            .collect()
    }
}

/// Devices where the program runs otherwise than `mode` says, and how.
fn otherwise(config: &Config) -> Vec<String> {
    let wrong = match config.mode {
        Mode::Any => return Vec::new(),
        Mode::Native => XdpSlot::Generic,
        Mode::Generic => XdpSlot::Native,
    };
    let how = if wrong == XdpSlot::Generic { "generic" } else { "native" };
    let runs = |name: &&String| {
        let there = Device::named(name).map(|device| device_xdp(device.index).progs).unwrap_or_default();
        there.iter().any(|(slot, _)| *slot == wrong)
    };
    config.devices.iter().filter(runs).map(|name| format!("{name}: {how}")).collect()
}

/// What came of a configuration that was read again.
pub(super) struct Reloaded {
    pub(super) changed: Changed,
    /// What is not taken yet.
    pub(super) waits: Vec<String>,
}

pub(super) fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|about| about.modified()).ok()
}

/// The configuration, if it is right and this machine has what it asks for beside the one that holds, if one does.
pub(super) fn read(
    path: &Path,
    shared: Option<&Shared>,
    holds: Option<&Config>,
) -> std::result::Result<(Config, Places), Vec<Fault>> {
    let name = path.display().to_string();
    let text = config::text(path).map_err(|why| vec![Fault::from(why)])?;
    let shared = shared.map(|one| (one.name.as_str(), one.text.as_str()));
    let faults = |all: Vec<Diagnostic>| all.into_iter().map(Fault::from).collect::<Vec<_>>();
    let (config, places) = Config::read_placed(&name, &text, shared).map_err(faults)?;
    let lacks = config.lacks_beside(&places, holds);
    if lacks.is_empty() { Ok((config, places)) } else { Err(faults(lacks)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A program that was there when its check began, and is gone, keeps no other change waiting; one that nobody runs yet does.
    #[test]
    fn a_program_that_is_gone_keeps_no_change_waiting() {
        let folder = std::env::temp_dir().join(format!("alveary-lb-gone-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let (path, program) = (folder.join("lb.toml"), folder.join("probe"));
        let own = "[balancer]\ndevices = [\"lo\"]\n";
        let vip = |last: u8, program: &Path| {
            format!(
                "[[vip]]\naddress = \"192.0.2.{last}\"\nport = 80\n\
                 check = {{ type = \"exec\", command = [{program:?}, \"{{address}}\"] }}\n"
            )
        };
        let etcd = "[etcd]\nendpoints = [\"http://10.0.0.5:2379\"]\nexec = true\n";
        let put = |text: &str| fs::write(&path, text).expect("a file");
        let lacks = |shared: Option<&Shared>, holds| {
            let faults = read(&path, shared, holds).err().unwrap_or_default();
            faults.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        fs::write(&program, "#!/bin/sh\n").expect("a file");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
        put(&format!("{own}{}", vip(1, &program)));
        let (holds, _) = read(&path, None, None).unwrap_or_else(|faults| panic!("{faults:?}"));
        fs::remove_file(&program).expect("it was there");
        put(&format!("{own}{}{}", vip(1, &program), vip(2, &program)));
        assert_eq!(lacks(None, Some(&holds)), Vec::<String>::new());
        let (gone, other) = (format!("`{}` cannot be run", program.display()), folder.join("porbe"));
        let begins = lacks(None, None);
        assert!(begins.len() == 2 && begins[0].contains(&gone), "who begins is told: {begins:?}");
        put(&format!("{own}{}{}", vip(1, &program), vip(2, &other)));
        let refused = lacks(None, Some(&holds));
        assert!(refused.len() == 1 && refused[0].contains("porbe` cannot be run"), "{refused:?}");
        // The same of VIPs that are in etcd.
        put(&format!("{own}{etcd}"));
        let value = |text| Shared { name: "etcd:/lb".into(), text, revision: 1 };
        let same = value(vip(1, &program) + &vip(2, &program));
        assert_eq!(lacks(Some(&same), Some(&holds)), Vec::<String>::new());
        let refused = lacks(Some(&value(vip(1, &program) + &vip(2, &other))), Some(&holds));
        assert!(refused.len() == 1 && refused[0].starts_with("etcd:/lb:"), "{refused:?}");
        fs::remove_dir_all(folder).expect("it is ours");
    }
}
