//! What the API answers.

use super::{Server, follow::Reloaded, socket_folder};
use crate::{
    announce::Note,
    apply::Changed,
    asked::{Drain, Flows, nothing},
    http::{Answer, Request},
    report,
};
use std::time::Instant;

/// Flows that are told at most.
const FLOWS: usize = 10_000;

impl Server<'_> {
    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        let known = match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/") => return Answer { status: 200, kind: "text/html; charset=utf-8", body: report::PAGE.into() },
            ("GET", "/openapi.json") => {
                return Answer { status: 200, kind: "application/json", body: report::OPENAPI.into() };
            }
            ("GET", "/v1/status") => self.view().status().map(|mut status| {
                self.fleet_status(&mut status);
                Answer::json(&status)
            }),
            ("GET", "/metrics") => self.view().metrics().map(|text| Answer {
                status: 200,
                kind: "text/plain; version=0.0.4",
                body: (text + &self.fleet_metrics()).into_bytes(),
            }),
            ("GET", "/v1/flows") => match Flows::read(&request.query) {
                Ok(asked) => self.view().flows(&asked, FLOWS).map(|flows| match flows {
                    Ok(flows) => Answer::json(&flows),
                    Err(why) => Answer::refused(404, &why),
                }),
                Err(why) => return Answer::refused(400, &why),
            },
            ("POST", "/v1/reload" | "/v1/withdraw" | "/v1/announce") if nothing(&request.body).is_err() => {
                return Answer::refused(400, &nothing(&request.body).err().unwrap_or_default());
            }
            ("POST", "/v1/reload") => {
                return match self.try_reload() {
                    Ok(Reloaded { changed: Changed { vips, reals, keys }, waits }) => {
                        Answer::json(&serde_json::json!({ "vips": vips, "reals": reals, "keys": keys, "notes": waits }))
                    }
                    Err(faults) => {
                        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                        Answer { status: 422, ..Answer::json(&serde_json::json!({ "error": faults.join("\n") })) }
                    }
                };
            }
            ("POST", "/v1/drain" | "/v1/undrain") => return self.drain(request),
            ("POST", "/v1/withdraw" | "/v1/announce") => return self.withdraw(request.path == "/v1/withdraw"),
            (_, "/" | "/openapi.json" | "/v1/status" | "/metrics" | "/v1/flows") => {
                return Answer::refused(405, "ask with GET");
            }
            (_, "/v1/reload" | "/v1/stop" | "/v1/drain" | "/v1/undrain" | "/v1/withdraw" | "/v1/announce") => {
                return Answer::refused(405, "ask with POST");
            }
            _ => return Answer::refused(404, "there is nothing here; /openapi.json says what there is"),
        };
        known.unwrap_or_else(|why| Answer::refused(500, &why.to_string()))
    }

    pub(super) fn drain(&mut self, request: &Request) -> Answer {
        let drains = request.path == "/v1/drain";
        let read = if drains { Drain::read } else { Drain::read_end };
        let Drain { real, vip, within } = match read(&request.body) {
            Ok(said) => said,
            Err(why) => return Answer::refused(400, &why),
        };
        let (vip, now) = (vip.as_deref(), Instant::now());
        let done = if drains {
            self.control.drain(&self.config, vip, &real, within, now)
        } else {
            self.control.undrain(vip, &real, now)
        };
        let vips = match done {
            Ok(vips) => vips,
            Err(why) => return Answer::refused(404, &why),
        };
        let mut notes = Vec::new();
        for vip in self.config.vips.iter().filter(|vip| vips.contains(&vip.name)) {
            let drained = self.control.state(&vip.name, &real).and_then(|state| state.drained);
            let line = match drained {
                Some(end) => {
                    let left = end.saturating_duration_since(now).as_secs();
                    format!("{}: {real} is drained, its connections have {left} s", vip.name)
                }
                None => format!("{}: {real} is drained no more", vip.name),
            };
            (self.log)(&line);
            if self.control.takes_nobody(vip, now) {
                let note = format!("{}: none of its reals takes new connections: they are dropped (no-real)", vip.name);
                (self.log)(&note);
                notes.push(note);
            }
        }
        if vips.len() > 1 {
            notes.push(format!(
                "`{real}` is a real of several VIPs, and that was done in all of them: {}",
                vips.join(", ")
            ));
        }
        match self.settle() {
            Ok(_) => Answer::json(&serde_json::json!({ "reals": vips.len(), "vips": vips, "notes": notes })),
            Err(why) => Answer::refused(500, &why.to_string()),
        }
    }

    /// Takes routes back, or announces them again.
    pub(super) fn withdraw(&mut self, away: bool) -> Answer {
        if self.ending.is_some() && !away {
            return Answer::refused(409, "the balancer is being stopped");
        }
        let served = self.served();
        if self.announcer.is_some() {
            // Before it is done: a process that ends meanwhile has a successor that knows.
            self.note_withdrawn(away);
        }
        let (Some(announce), Some(announcer)) = (&self.config.announce, &mut self.announcer) else {
            return Answer::refused(404, "this balancer announces nothing: [announce] in its configuration");
        };
        match announcer.withdraw(announce, served, away) {
            Ok(()) => Answer::json(&announcer.status()),
            Err(why) => Answer::refused(500, &why),
        }
    }

    /// Notes for the next process whether this one has been told to stand back.
    pub(super) fn note_withdrawn(&mut self, away: bool) {
        let noted =
            Note::prepare(socket_folder(), &self.config, (&self.api_socket(), &self.root), away).and_then(Note::hold);
        if let Err(why) = noted {
            (self.log)(&format!(
                "{}: that routes were withdrawn, or announced again, cannot be noted for the next process: {why}",
                self.config.name
            ));
        }
    }

    /// What there is to say of others.
    pub(super) fn fleet_status(&self, status: &mut serde_json::Value) {
        if let Some(announcer) = &self.announcer {
            status["announce"] = announcer.status();
        }
        if let Some(peers) = &self.peers {
            status["sync"] = peers.status();
        }
        if let Some((one, standing)) = &self.shared {
            status["etcd"] = serde_json::json!({
                "from": one.name, "revision": one.revision, "gone": standing.gone, "refused": standing.refused,
            });
        }
    }

    pub(super) fn fleet_metrics(&self) -> String {
        let mut text = String::new();
        if let Some(announcer) = &self.announcer {
            text += &gauge("announced", "Addresses that BIRD announces", announcer.count() as u64);
        }
        if let Some(peers) = &self.peers {
            for (name, about, count) in peers.counters() {
                text += &format!(
                    "# HELP alveary_lb_{name} {about}\n# TYPE alveary_lb_{name} counter\nalveary_lb_{name} {count}\n"
                );
            }
        }
        if let Some((one, standing)) = &self.shared {
            text += &gauge("etcd_revision", "Revision of the VIPs; 0: those that were kept", one.revision);
            text += &gauge("etcd_up", "Whether etcd answers", standing.gone.is_none().into());
            text += &gauge(
                "etcd_refused",
                "Whether what etcd has is not applied: it is wrong, or the file is",
                standing.refused.is_some().into(),
            );
        }
        text
    }

    pub(super) fn view(&self) -> report::View<'_, alveary::Linux> {
        report::View {
            config: &self.config,
            control: &self.control,
            store: &self.instance.store,
            wanted: &self.wanted,
            adopted: self.instance.adopted,
            now: Instant::now(),
        }
    }
}

/// A number for Prometheus.
fn gauge(name: &str, help: &str, value: u64) -> String {
    format!("# HELP alveary_lb_{name} {help}\n# TYPE alveary_lb_{name} gauge\nalveary_lb_{name} {value}\n")
}
