//! Programs that do one thing after the other, run in virtual time: each wait gives the turn back to the world.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use repmgr::failover::Finished;

use crate::world::{Event, World};

type Look = Box<dyn FnOnce(&mut World, usize)>;

enum Request {
    Look(Look),
    Sleep(u64),
    Command,
}

#[derive(Default)]
struct Mailbox {
    request: Option<Request>,
    finished: Option<Finished>,
}

/// By which a program speaks to the world.
#[derive(Clone, Default)]
pub struct Port(Rc<RefCell<Mailbox>>);

impl Port {
    async fn request(&self, request: Request) {
        self.0.borrow_mut().request = Some(request);
        let mut asked = false;
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut asked, true) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Looks at the world, or changes something in it, now.
    pub async fn look<T: 'static>(&self, look: impl FnOnce(&mut World, usize) -> T + 'static) -> T {
        let slot = Rc::new(RefCell::new(None));
        let put = Rc::clone(&slot);
        let look: Look = Box::new(move |world, host| *put.borrow_mut() = Some(look(world, host)));
        self.request(Request::Look(look)).await;
        slot.borrow_mut().take().expect("the world has looked")
    }

    /// Lets milliseconds pass.
    pub async fn sleep(&self, time: u64) {
        self.request(Request::Sleep(time)).await;
    }

    /// Waits for the command that was started to end.
    pub async fn command(&self) -> Finished {
        self.request(Request::Command).await;
        self.0.borrow_mut().finished.take().expect("the command has ended")
    }
}

/// A program that runs on a host.
pub struct Coroutine {
    pub generation: u64,
    port: Port,
    program: Option<Pin<Box<dyn Future<Output = i32>>>>,
}

impl Coroutine {
    pub fn new<F: Future<Output = i32> + 'static>(generation: u64, program: impl FnOnce(Port) -> F) -> Self {
        let port = Port::default();
        let program = Box::pin(program(port.clone()));
        Coroutine {
            generation,
            port,
            program: Some(program),
        }
    }
}

impl World {
    /// Runs a program until it waits for something.
    pub fn run_program(&mut self, host: usize, generation: u64) {
        loop {
            let wait = self.hosts[host].frozen_until.saturating_sub(self.now);
            if wait > 0 {
                return self.after(wait, move |world| world.run_program(host, generation));
            }
            let running = self.hosts[host].original.as_mut();
            let Some(coroutine) = running.filter(|coroutine| coroutine.generation == generation) else {
                return;
            };
            let Some(mut program) = coroutine.program.take() else {
                return;
            };
            let polled = program.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if let Poll::Ready(code) = polled {
                return self.original_ends(host, code);
            }
            coroutine.program = Some(program);
            let request = coroutine.port.0.borrow_mut().request.take();
            match request.expect("whoever waits says for what") {
                Request::Look(look) => look(self, host),
                Request::Sleep(time) => return self.after(time, move |world| world.run_program(host, generation)),
                Request::Command => return,
            }
        }
    }

    /// A command of an original's has ended.
    pub fn finish_program(&mut self, host: usize, generation: u64, result: Finished) {
        let running = self.hosts[host].original.as_ref();
        if let Some(coroutine) = running.filter(|coroutine| coroutine.generation == generation) {
            coroutine.port.0.borrow_mut().finished = Some(result);
            self.run_program(host, generation);
        }
    }

    fn original_ends(&mut self, host: usize, code: i32) {
        self.log(|| format!("original daemon of node {} ends with code {code}", host + 1));
        self.attribute("the original ended");
        if self.hosts[host].server.serves(self.now) {
            self.hosts[host].server.memory.pid = None;
        }
        self.hosts[host].original = None;
        let delay = self.random.between(3_000, 20_000);
        self.at(delay, Event::DaemonUp { host });
    }
}
