//! The voters: the real acceptor on each host, asked over a network that loses, doubles and delays.

use repmgr::write_right::Answered;
use repmgr_write_right::{Answer, NodeId, Request, acceptor::answer_under};

use crate::checks;
use crate::world::{Event, MS, SECOND, World};

impl World {
    pub fn voter(&mut self, from: usize, incarnation: u64, attempt: u64, to: usize, request: Request) {
        let answered = |answer| {
            let voter = to as NodeId + 1;
            Event::Answer(from, incarnation, Box::new(Answered { attempt, voter, answer }))
        };
        let host = &mut self.hosts[to];
        if host.server_frozen > self.now && host.server.is_some() {
            let after = host.server_frozen - self.now + 10;
            let request = Box::new(request);
            self.plan(
                after,
                Event::Ask {
                    from,
                    incarnation,
                    attempt,
                    to,
                    request,
                },
            );
            return;
        }
        let clock = host.clock(self.now);
        let Some(server) = &mut host.server else {
            if host.on {
                self.send(to, from, answered(None));
            }
            return;
        };
        let before = server.record.clone();
        let (record, answer, durable_first) = answer_under(self.rules, &before, clock, &request);
        let durable = record.durable != before.durable;
        let volatile = record.volatile != before.volatile;
        server.record = record;
        host.lost = server.record.durable.is_none();
        if durable {
            let text = server.record.durable_text();
            if self.random.chance(3) {
                host.backup = host.durable.take();
            }
            host.durable = Some(text);
            if durable_first {
                host.durable_on_disk.clone_from(&host.durable);
            }
        }
        if durable || volatile {
            host.volatile = Some(server.record.volatile_text());
        }
        if durable && !durable_first {
            let boot = host.boot;
            self.plan(10 * SECOND, Event::Flush(to, boot));
        }
        *self.verdicts.entry(answer.verdict).or_default() += 1;
        let slow = self.hosts[to].slow_disk > self.now && durable_first;
        checks::after_answer(self, to, &before, &request, answer.verdict);
        self.say(|| {
            let line = format!(
                "voter {} to node {}: {} to {request}",
                to + 1,
                from + 1,
                answer.verdict.word()
            );
            line.replace("repmgr-write-right/1 ", "")
        });
        let answer = self.through_text(answer);
        if slow {
            let after = self.random.between(100, 5_000) * MS;
            self.plan(after, answered(Some(answer)));
        } else {
            self.send(to, from, answered(Some(answer)));
        }
    }

    /// Now and then an answer takes its real way.
    fn through_text(&mut self, answer: Answer) -> Answer {
        if !self.random.chance(5) {
            return answer;
        }
        let read = Answer::parse(&answer.to_string()).expect("an answer that can be read");
        assert_eq!(read, answer);
        read
    }

    // The server.
}
