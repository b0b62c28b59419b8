//! Captures through a network of several routers, in the captures' time.

use super::{super::topology::network::Built, inputs::Inputs, outputs::Files};
use crate::{failure::Failure, output, table::count};
use alveary::net::{
    network::{Counts, Event, Port, What},
    router::Lost,
};
use alveary_sort::Gather;
use serde_json::{Map, Value, json};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
    rc::Rc,
};

/// What became of the packets.
#[derive(Default)]
struct Totals {
    /// By hosts.
    received: BTreeMap<String, u64>,
    /// By routers: those for themselves.
    delivered: BTreeMap<String, u64>,
    /// By routers and reasons.
    lost: BTreeMap<String, BTreeMap<String, u64>>,
    /// Messages to senders.
    told: u64,
}

/// Files for what leaves by routers' interfaces, and the first thing that went wrong with them.
struct Recorder {
    files: Files,
    /// Their numbers.
    numbers: BTreeMap<Port, usize>,
    failed: Option<Failure>,
}

/// Runs it.
pub(super) fn run(
    mut built: Built,
    mut inputs: Inputs<Port>,
    paths: &[&Path],
    directory: &Path,
    json: bool,
) -> Result<(), Failure> {
    let recorder = Rc::new(RefCell::new(Recorder::create(&built, paths, directory)?));
    let tap = recorder.clone();
    let linked: BTreeSet<_> = built.links.iter().map(|(from, _)| *from).gather();
    built.network.tap(move |seen| {
        // What leaves by others has no destination address until its neighbour is known.
        if seen.out && linked.contains(&seen.port) {
            tap.borrow_mut().write(seen.port, seen.time, seen.frame);
        }
    });
    let mut totals = Totals::default();
    while let Some((port, frame)) = inputs.next()? {
        // What is on its way by then arrives first.
        run_until(&mut built, frame.time.saturating_sub(1), &mut totals, &recorder)?;
        match built.named(port.node).is_some_and(|named| named.interfaces.is_empty()) {
            true => built.network.send(port.node, frame.time, frame.bytes.get(14..).unwrap_or_default().to_vec()),
            false => built.network.arrive(port, frame.time, frame.bytes),
        }
    }
    run_until(&mut built, u64::MAX, &mut totals, &recorder)?;
    let links: Vec<_> = (built.links.iter())
        .filter_map(|(from, to)| Some((built.port_name(*from), built.port_name(*to), built.network.counts(*from)?)))
        .collect();
    drop(built);
    let recorder = Rc::into_inner(recorder).map(RefCell::into_inner);
    let sent = recorder.map_or_else(|| Ok(Vec::new()), |recorder| recorder.files.finish())?;
    show(inputs.packets, &sent, &links, &totals, json)
}

fn run_until(built: &mut Built, until: u64, totals: &mut Totals, recorder: &RefCell<Recorder>) -> Result<(), Failure> {
    while let Some(event) = built.network.next(until) {
        take(built, event, totals, recorder)?;
    }
    recorder.borrow_mut().failed.take().map_or(Ok(()), Err)
}

fn take(built: &Built, event: Event, totals: &mut Totals, recorder: &RefCell<Recorder>) -> Result<(), Failure> {
    let add = |counts: &mut BTreeMap<String, u64>, name: &str| *counts.entry(name.to_owned()).or_default() += 1;
    match event.what {
        What::Received { host, .. } => add(&mut totals.received, built.name(host)),
        What::Delivered { router, .. } => add(&mut totals.delivered, built.name(router)),
        What::Lost { router, why, told, .. } => {
            let fault = built.network.programs(router).and_then(|programs| programs.fault());
            if let (Lost::Stopped, Some(fault)) = (why, fault) {
                let place = format!("at {}, {} ns", built.name(router), event.time);
                return Err(fault.diagnostic().note(place).into());
            }
            totals.told += u64::from(told);
            add(totals.lost.entry(built.name(router).to_owned()).or_default(), &why.to_string());
        }
        What::Left { port, next_hop, mut frame } => {
            let neighbours = built.named(port.node).map(|named| &named.neighbours);
            let mac = next_hop.and_then(|to| neighbours?.get(&to));
            if let (Some(mac), Some(to)) = (mac, frame.get_mut(..6)) {
                to.copy_from_slice(&mac.0);
            }
            recorder.borrow_mut().write(port, event.time, &frame);
        }
        What::Alarm(_) => {}
    }
    Ok(())
}

impl Recorder {
    fn create(built: &Built, inputs: &[&Path], directory: &Path) -> Result<Recorder, Failure> {
        let (mut names, mut numbers) = (Vec::new(), BTreeMap::new());
        for named in &built.nodes {
            for (device, interface) in (1..).zip(&named.interfaces) {
                numbers.insert(named.node.port(device), names.len());
                names.push(format!("{}.{interface}", named.name));
            }
        }
        Ok(Recorder { files: Files::create(directory, names, inputs)?, numbers, failed: None })
    }

    fn write(&mut self, port: Port, time: u64, frame: &[u8]) {
        // A program redirected to a device that is none of the router's, or a host sends.
        let Some(number) = self.numbers.get(&port) else { return };
        if let Err(why) = self.files.write(*number, time, frame) {
            self.failed.get_or_insert(why);
        }
    }
}

fn show(
    packets: u64,
    sent: &[(String, u64)],
    links: &[(String, String, Counts)],
    totals: &Totals,
    json: bool,
) -> Result<(), Failure> {
    if json {
        let sent: Map<_, _> = sent.iter().map(|(name, packets)| (name.clone(), json!(packets))).collect();
        let links: Vec<Value> = (links.iter())
            .map(|(from, to, Counts { sent, bytes, lost, full })| {
                json!({ "from": from, "to": to, "sent": sent, "bytes": bytes, "lost": lost, "full": full })
            })
            .collect();
        return output::object(&json!({
            "packets": packets,
            "sent": sent,
            "received": totals.received,
            "delivered": totals.delivered,
            "lost": totals.lost,
            "messages": totals.told,
            "links": links,
        }));
    }
    output::write(|out| {
        writeln!(out, "{} came in", count(packets, "packet", "packets"))?;
        totals.received.iter().try_for_each(|(name, packets)| writeln!(out, "  {packets} came to {name}"))?;
        sent.iter().try_for_each(|(name, packets)| writeln!(out, "  {packets} left by {name}"))?;
        totals.delivered.iter().try_for_each(|(name, packets)| writeln!(out, "  {packets} for {name} itself"))?;
        for (name, lost) in &totals.lost {
            lost.iter().try_for_each(|(why, packets)| writeln!(out, "  {packets} lost at {name}: {why}"))?;
        }
        for (from, to, Counts { lost, full, .. }) in links {
            if *lost > 0 {
                writeln!(out, "  {lost} lost between {from} and {to}")?;
            }
            if *full > 0 {
                writeln!(out, "  {full} found the queue from {from} to {to} full")?;
            }
        }
        if totals.told > 0 {
            writeln!(out, "  {} to senders", count(totals.told, "message", "messages"))?;
        }
        Ok(())
    })
}
