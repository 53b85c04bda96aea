//! A service that can be replaced while connections are open.

use std::task::{Context, Poll};

use tokio::sync::watch;
use tower::util::Oneshot;
use tower::{Service, ServiceExt};

/// Passes each request to the current service.
pub(super) struct Present<S>(watch::Receiver<S>);

/// Returns a service that passes requests to `service`, and a sender to replace that.
pub(super) fn present<S>(service: S) -> (watch::Sender<S>, Present<S>) {
    let (sender, receiver) = watch::channel(service);
    (sender, Present(receiver))
}

impl<S> Clone for Present<S> {
    fn clone(&self) -> Self {
        Present(self.0.clone())
    }
}

impl<S: Service<R> + Clone, R> Service<R> for Present<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Oneshot<S, R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        // The lock is held for as long as it takes to clone.
        let service = self.0.borrow().clone();
        service.oneshot(request)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::service_fn;

    use super::*;

    #[tokio::test]
    async fn requests_go_to_the_one_that_is_there() {
        let answering = |answer: u32| service_fn(move |()| async move { Ok::<_, Infallible>(answer) });
        let (sender, present) = present(answering(1));
        let mut first = present.clone();
        let begun = first.call(());
        sender.send_replace(answering(2));
        assert_eq!(present.oneshot(()).await, Ok(2));
        assert_eq!(begun.await, Ok(1), "what has begun is finished by whom it began with");
    }
}
