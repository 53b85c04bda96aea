//! Work that goes on whatever becomes of the client that asked for it.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::error::Error;

/// So much work, at most, in tasks of its own.
pub(super) struct Kept {
    permits: Arc<Semaphore>,
    most: u32,
}

impl Kept {
    /// At most so many tasks at once.
    pub(super) fn new(most: usize) -> Self {
        let most = u32::try_from(most.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Kept { permits: Arc::new(Semaphore::new(most as usize)), most }
    }

    /// Begins with work at once. What is returned only waits for its outcome.
    pub(super) fn spawn<T, W>(
        &self,
        work: W,
    ) -> Result<impl Future<Output = Result<T, Error>> + use<T, W>, Error>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let permit = permit.map_err(|_| Error::TooManyRequests { limit: self.most as usize })?;
        let task = tokio::spawn(async move {
            let _permit = permit;
            work.await
        });
        Ok(async { task.await.unwrap_or_else(|error| Err(Error::Internal(error.to_string()))) })
    }

    /// Done when no work is going on.
    pub(super) fn finished(&self) -> impl Future<Output = ()> + use<> {
        let (permits, all) = (Arc::clone(&self.permits), self.most);
        async move {
            // An error says that there is nothing to wait for either.
            let _ = permits.acquire_many(all).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_ends_though_nobody_waits_and_is_bounded() {
        let kept = Kept::new(1);
        let (go, wait) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let work = kept.spawn(async {
            let _ = wait.await;
            let _ = tell.send(());
            Ok(())
        });
        drop(work.unwrap());
        assert!(matches!(kept.spawn(async { Ok(()) }).err(), Some(Error::TooManyRequests { limit: 1 })));
        assert!(kept.finished().now_or_never().is_none());
        go.send(()).unwrap();
        told.await.unwrap();
        kept.finished().await;
        assert!(kept.spawn(async { Ok(1) }).unwrap().await.is_ok());
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let work = Kept::new(1).spawn::<(), _>(async { panic!("x") }).unwrap();
        assert!(matches!(work.await, Err(Error::Internal(_))));
    }
}
