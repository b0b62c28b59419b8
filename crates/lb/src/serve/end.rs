//! The end of a balancer: routes are taken back, routers that are further away get time to hear of it while packets are still
//! taken, then nothing is balanced any more. Everything else goes on meanwhile.

use super::{Server, socket_folder};
use crate::{
    announce::forget_note,
    asked::Stop,
    http::{Answer, Request},
    instance,
};
use std::{
    collections::BTreeSet,
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

/// An end that has been asked for.
pub(super) struct Ending {
    /// When routers have heard of it.
    due: Instant,
    /// Who has asked.
    asked: Vec<Sender<Answer>>,
}

impl Server<'_> {
    /// Takes routes back, so that the balancer can end; who asks hears of it when it has, or why it does not.
    pub(super) fn stop(&mut self, request: &Request, to: Sender<Answer>) {
        let linger = match self.is_meant(request) {
            Ok(()) if self.ending.is_some() => Ok(Duration::ZERO),
            Ok(()) => self.leave(),
            Err(refused) => Err(refused),
        };
        match linger {
            Ok(linger) => {
                let ending = || Ending { due: Instant::now() + linger, asked: Vec::new() };
                self.ending.get_or_insert_with(ending).asked.push(to);
            }
            // Who has gone does not hear it.
            Err(refused) => drop(to.send(refused)),
        }
    }

    /// When the balancer ends.
    pub(super) fn end_due(&self) -> Option<Instant> {
        self.ending.as_ref().map(|ending| ending.due)
    }

    /// Ends the balancer if it is time; `true`: nothing is balanced any more, and the process ends.
    pub(super) fn ends(&mut self) -> bool {
        let Some(ending) = self.ending.take_if(|ending| ending.due <= Instant::now()) else { return false };
        let answer = self.end();
        ending.asked.iter().for_each(|to| drop(to.send(answer.clone())));
        answer.status == 200
    }

    /// The process is told to end before the balancer has; `false` if nobody has asked for that.
    pub(super) fn ends_not(&mut self) -> bool {
        let Some(ending) = self.ending.take() else { return false };
        let name = &self.config.name;
        let why = format!(
            "the process was told to end before the balancer did: its routes are withdrawn, packets that come are balanced; \
             `alveary lb stop {name}` ends that"
        );
        ending.asked.iter().for_each(|to| drop(to.send(Answer::refused(503, &why))));
        true
    }

    /// Whether who asks means this balancer: sockets of others may have its name.
    fn is_meant(&self, request: &Request) -> Result<(), Answer> {
        let Stop { pins } = Stop::read(&request.body).map_err(|why| Answer::refused(400, &why))?;
        let ours = self.owner.pins();
        if pins.is_none_or(|pins| pins == ours) {
            return Ok(());
        }
        let why = format!(
            "process {} answers here, whose balancer `{}` is pinned elsewhere: it is not the one that is meant",
            std::process::id(),
            self.config.name
        );
        Err(Answer::refused(409, &why))
    }

    /// Takes routes back; gives how long routers need to hear of it.
    fn leave(&mut self) -> Result<Duration, Answer> {
        let (Some(announce), Some(announcer)) = (&self.config.announce, &mut self.announcer) else {
            return Ok(Duration::ZERO);
        };
        let (withdrawn, linger) = (announcer.withdrawn, announce.linger);
        let Err(why) = announcer.withdraw(announce, BTreeSet::new(), true) else { return Ok(linger) };
        // What BIRD did not take it would be told again.
        announcer.withdrawn = withdrawn;
        self.announce();
        let note = socket_folder().join(format!("lb-{}.announce", self.config.name));
        let why = format!(
            "the routes cannot be taken back, and packets go on being balanced: {why}; start BIRD; or see to the routes yourself: \
             kill {}, remove {}, and stop it then",
            std::process::id(),
            note.display()
        );
        Err(Answer::refused(500, &why))
    }

    /// Detaches the program; maps go.
    fn end(&mut self) -> Answer {
        let name = self.config.name.clone();
        if let Err(why) = instance::stop(&self.root, &name) {
            // Some devices may have no program any more: packets shall not come before somebody has looked.
            let Some(announcer) = self.announcer.as_mut() else { return Answer::refused(500, &why.to_string()) };
            announcer.withdrawn = true;
            self.note_withdrawn(true);
            let stays = format!("{why}; routes stay withdrawn, until `alveary lb announce {name}`");
            (self.log)(&format!("{name}: it cannot be stopped: {stays}"));
            return Answer::refused(500, &stays);
        }
        if let Err(why) = forget_note(socket_folder(), &name) {
            (self.log)(&format!("{name}: its note stays: {why}"));
        }
        (self.log)(&format!("{name}: stopped: its program is detached, its maps are gone, no packet is balanced"));
        Answer::json(&serde_json::json!({ "pid": std::process::id() }))
    }
}
