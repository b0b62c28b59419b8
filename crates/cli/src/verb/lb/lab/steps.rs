//! What happens to a site, step by step, and how many connections each step broke.

use super::{
    held::{Broken, Held},
    site::{Site, bpffs, status, until},
};
use crate::{
    failure::Failure,
    table::{Align, Table, grouped},
};
use alveary::kernel::sys::{PathFlags, link_info, obj_get};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::os::fd::AsFd;

/// What came of a step.
pub(super) struct Told {
    what: &'static str,
    broken: Broken,
    /// How many had to break, and why.
    must: usize,
    why: &'static str,
}

impl Told {
    /// Whether more broke than had to.
    pub(super) fn is_worse(&self) -> bool {
        self.broken.count() > self.must
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "step": self.what, "connections": self.broken.of, "broken": self.broken.count(), "must": self.must,
            "by_real": self.broken.by_real, "asked": self.broken.rounds, "first": self.broken.first,
        })
    }
}

pub(super) fn table(told: &[Told]) -> Table {
    let right = ["connections", "asked", "broken", "had to"].map(|name| (name, Align::Right));
    let mut columns = vec![("what happens", Align::Left)];
    columns.extend(right);
    columns.push(("", Align::Left));
    let mut table = Table::new(columns);
    for one in told {
        let why = one.broken.first.clone().filter(|_| one.is_worse()).unwrap_or_else(|| one.why.to_owned());
        table.row([
            one.what.to_owned(),
            grouped(one.broken.of as u64),
            format!("{} times", grouped(one.broken.rounds as u64)),
            grouped(one.broken.count() as u64),
            grouped(one.must as u64),
            why,
        ]);
    }
    table
}

/// A VIP that says nothing but that the configuration is another one.
fn further(number: u32) -> String {
    format!("\n[[vip]]\nname = \"further{number}\"\naddress = \"192.0.2.{number}\"\nport = 80\n")
}

/// What no balancer takes.
const WRONG: &str = "[[vip]]\nname = \"web\"\naddress = \"192.0.2.300\"\nport = 80\n";

/// The program that balances at a balancer.
fn program(site: &Site, number: usize) -> Option<u32> {
    let path = bpffs().join("alveary-lb").join(&site.balancers[number].name).join("link-eth0");
    let link = obj_get(&path, PathFlags::default()).ok()?;
    link_info(link.as_fd()).ok().map(|info| info.prog)
}

/// Waits until each balancer has so many VIPs.
fn taken(site: &Site, vips: usize) -> Result<(), Failure> {
    site.balancers.iter().try_for_each(|balancer| {
        let name = &balancer.name;
        let has = || status(name).and_then(|status| status["vips"].as_array().map(Vec::len));
        until(&format!("{name} has {vips} VIPs"), || has() == Some(vips))
    })
}

struct Steps<'a> {
    site: &'a mut Site,
    held: Held,
    count: usize,
    told: Vec<Told>,
}

/// Opens connections, has everything happen, and tells what came of it; and what was said of the wrong value in etcd.
pub(super) fn all(site: &mut Site, count: usize) -> Result<(Vec<Told>, Option<String>), Failure> {
    let some: Vec<usize> = (0..usize::from(site.plan.reals)).collect();
    let without: Vec<usize> = some[1..].to_vec();
    let more: Vec<usize> = (0..=some.len()).collect();
    let every = 0..site.balancers.len();
    site.configure(&some, "")?;
    for number in every.clone() {
        site.serve(number)?;
    }
    site.settled(&some)?;
    site.learned(&every.clone().collect::<Vec<_>>(), true)?;
    let mut steps = Steps { held: Held::new(site), site, count, told: Vec::new() };

    steps.step("nothing", |_| Ok(()))?;
    steps.step("the configuration changes", |site| {
        site.configure(&some, &further(2))?;
        taken(site, 3)
    })?;
    steps.step("again, and SIGHUP", |site| {
        site.configure(&some, &(further(2) + &further(3)))?;
        every.clone().for_each(|number| site.tell(number, Signal::HUP));
        taken(site, 4)
    })?;
    steps.step("a real is taken out", |site| {
        site.configure(&without, "")?;
        site.settled(&without)
    })?;
    steps.step("it comes back", |site| {
        site.configure(&some, "")?;
        site.settled(&some)
    })?;
    steps.step("all processes are killed (-9)", |site| {
        every.clone().for_each(|number| site.kill(number));
        Ok(())
    })?;
    steps.step("others take over", |site| {
        every.clone().try_for_each(|number| site.serve(number))?;
        site.settled(&some)
    })?;
    steps.step("the binary is replaced, restart", |site| {
        site.binary(1)?;
        for number in every.clone() {
            let before = (program(site, number), site.process(number));
            site.tell(number, Signal::TERM);
            site.serve(number)?;
            let name = site.balancers[number].name.clone();
            until(&format!("{name} has another program"), || {
                let now = (program(site, number), site.process(number));
                now.0.is_some() && now.0 != before.0 && now.1 != before.1
            })?;
        }
        site.settled(&some)
    })?;
    let mut refused = None;
    if steps.site.plan.etcd {
        steps.step("etcd has what is wrong", |site| {
            site.put(WRONG)?;
            refused = site.refused(true)?;
            site.configure(&some, "")?;
            site.refused(false).map(drop)
        })?;
        steps.step("etcd dies", |site| {
            site.etcd = None;
            site.etcd_answers(false)
        })?;
        steps.step("a balancer begins without it", |site| {
            site.kill(0);
            site.serve(0)?;
            site.settled(&some)?;
            site.etcd_answers(false)
        })?;
        steps.step("etcd comes back, with what is new", |site| {
            site.start_etcd()?;
            site.configure(&some, &further(4))?;
            taken(site, 3)?;
            site.etcd_answers(true)
        })?;
    }
    let several = every.len() > 1;
    if several {
        steps.step("a balancer dies", |site| site.halt(0))?;
        steps.step("it begins anew", |site| site.boot(0, &some))?;
        if steps.site.plan.bgp {
            steps.step("a balancer is stopped", |site| site.stop(1))?;
            steps.step("it is started again", |site| site.boot(1, &some))?;
        }
    }
    steps.step("a real is added", |site| {
        site.configure(&more, "")?;
        site.settled(&more)
    })?;
    if several {
        // By the tables alone some would go to the new one now: balancers tell each other who has them.
        steps.step("a balancer dies then", |site| site.halt(0))?;
        steps.step("it begins anew and asks the others", |site| site.boot(0, &more))?;
    }
    let last = more.len() - 2;
    let name = steps.site.reals[last].name.clone();
    steps.top_up()?;
    let its = steps.held.by_real().get(&name).copied().unwrap_or_default();
    let rest: Vec<usize> = more.iter().copied().filter(|real| *real != last).collect();
    steps.breaks("a real dies", its, "those that it had", |site| {
        site.kill_server(last)?;
        site.settled(&rest)
    })?;
    Ok((steps.told, refused))
}

impl Steps<'_> {
    /// As many connections as in the beginning.
    fn top_up(&mut self) -> Result<(), Failure> {
        self.held.fill(self.site, self.count)
    }

    /// Something that must break nothing.
    fn step(&mut self, what: &'static str, does: impl FnOnce(&mut Site) -> Result<(), Failure>) -> Result<(), Failure> {
        self.breaks(what, 0, "", does)
    }

    /// Something that may break so many.
    fn breaks(
        &mut self,
        what: &'static str,
        must: usize,
        why: &'static str,
        does: impl FnOnce(&mut Site) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.top_up()?;
        let site = &mut *self.site;
        let broken = self.held.through(|| does(site))?;
        self.told.push(Told { what, broken, must, why });
        Ok(())
    }
}
