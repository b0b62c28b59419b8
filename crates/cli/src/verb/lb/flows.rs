//! `alveary lb flows --follow`: the flow log.

use super::{
    client::Flows,
    serve::{OBJECT, all},
};
use crate::{failure::Failure, output, table};
use alveary::kernel::{netlink::devices, signal::Ending};
use alveary_lb::{
    record::{Known, monotonic},
    samples::{Sampled, Samples, end, protocol},
    wire,
};
use alveary_sort::Gather;
use serde_json::json;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

/// How often it is looked whether it shall end.
const LOOK: Duration = Duration::from_millis(100);

/// Prints what is sampled, a line each, until it is told to end.
pub(super) fn follow(flows: &Flows, json: bool) -> Result<(), Failure> {
    let one = |why| all(vec![why]);
    let ending = Ending::expect()?;
    let mut samples = Samples::open(&OBJECT, &flows.bpffs, flows.which.name()).map_err(one)?;
    let log = Log {
        begin: monotonic(),
        // From the data plane's clock to that of the day.
        ahead: (SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64)
            .saturating_sub(monotonic()),
        devices: devices().unwrap_or_default().into_iter().map(|device| (device.index, device.name)).gather(),
    };
    if !json {
        output::plain(&format!("one of {} packets; Ctrl-C ends it\n", table::grouped(samples.every.into())))?;
    }
    let (begin, most) = (Instant::now(), flows.count.unwrap_or(u64::MAX));
    let (mut count, mut failed) = (0u64, None);
    while count < most && failed.is_none() && !ending.came() {
        let left = flows.time.map(|time| time.saturating_sub(begin.elapsed()));
        if left == Some(Duration::ZERO) {
            break;
        }
        let wait = left.map_or(LOOK, |left| left.min(LOOK));
        let told = samples.take(wait, |known, sampled| {
            if count < most && failed.is_none() {
                count += 1;
                failed = log.tell(known, &sampled, json).err();
            }
        });
        told.map_err(one)?;
    }
    if let Some(why) = failed {
        return Err(why);
    }
    let missed = samples.missed().map_err(one)?;
    if json {
        return output::object(&json!({ "samples": count, "missed": missed }));
    }
    let missed = if missed > 0 { format!("; {missed} more were not taken in time") } else { String::new() };
    output::plain(&format!("{}{missed}\n", table::count(count, "sample", "samples")))
}

struct Log {
    begin: u64,
    ahead: u64,
    devices: BTreeMap<u32, String>,
}

impl Log {
    fn tell(&self, known: &Known, sampled: &Sampled, json: bool) -> Result<(), Failure> {
        let (verdict, _) = wire::VERDICTS.get(sampled.verdict as usize).copied().unwrap_or(("unknown", ""));
        let device = self.devices.get(&sampled.ifindex).cloned();
        let device = device.unwrap_or_else(|| format!("device {}", sampled.ifindex));
        let (vip, real) = (sampled.vip.map(|vip| known.vip(vip)), sampled.real.map(|real| known.real(real)));
        if json {
            let ends = sampled.flow.map(|(from, to)| (end(from), end(to))).unzip();
            return output::object(&json!({
                "time": (sampled.time + self.ahead) as f64 / 1e9, "from": ends.0, "to": ends.1,
                "protocol": sampled.flow.map(|_| protocol(sampled.protocol)), "bytes": sampled.length,
                "verdict": verdict, "vip": vip, "real": real, "device": device,
            }));
        }
        let flow = match sampled.flow {
            Some((from, to)) => format!("{} {} > {}", protocol(sampled.protocol), end(from), end(to)),
            None => "not IP".into(),
        };
        let seconds = sampled.time.saturating_sub(self.begin) as f64 / 1e9;
        let named = |what: &str, name: Option<String>| name.map(|name| format!(", {what} {name}")).unwrap_or_default();
        let (vip, real) = (named("VIP", vip), named("real", real));
        output::plain(&format!(
            "{seconds:10.3} s  {flow}: {verdict}{vip}{real}, {} bytes by {device}\n",
            sampled.length
        ))
    }
}
