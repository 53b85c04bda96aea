//! Tasks that run to their end even if their client disconnects.

use tokio_util::task::TaskTracker;

use crate::error::Error;
use crate::shares::{Holder, Percent, Shares};

/// A limited set of tasks that outlive their requests.
pub(crate) struct Kept {
    tasks: TaskTracker,
    shares: Shares,
}

impl Kept {
    /// Allows as many tasks at once as there are shares.
    pub(crate) fn new(shares: Shares) -> Self {
        Kept { tasks: TaskTracker::new(), shares }
    }

    /// Changes the limits.
    pub(crate) fn resize(&self, total: usize, percent: Percent) {
        self.shares.resize(total, percent);
    }

    /// Spawns a task. The returned future waits for its result; dropping it doesn't stop the task.
    pub(crate) fn spawn<T, W>(
        &self,
        holder: Holder,
        work: W,
    ) -> Result<impl Future<Output = Result<T, Error>> + use<T, W>, Error>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let share = super::taken(self.shares.take(holder))?;
        let task = self.tasks.spawn(async move {
            let _share = share;
            work.await
        });
        Ok(async { task.await.unwrap_or_else(|error| Err(Error::internal(error))) })
    }

    /// Returns a future that is done when no task is running.
    pub(crate) fn finished(&self) -> impl Future<Output = ()> + use<> {
        self.tasks.close();
        let tasks = self.tasks.clone();
        async move { tasks.wait().await }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;
    use crate::error::Code;

    fn one() -> Kept {
        Kept::new(Shares::new(1, Percent { client: 100, user: 100 }))
    }

    #[tokio::test]
    async fn it_ends_though_nobody_waits_and_is_bounded() {
        let kept = one();
        let (go, wait) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let work = kept.spawn(Holder::default(), async {
            let _ = wait.await;
            let _ = tell.send(());
            Ok(())
        });
        drop(work.unwrap());
        let another = kept.spawn(Holder::default(), async { Ok(()) });
        assert!(another.is_err_and(|error| error.code() == Code::TooManyRequests));
        assert!(kept.finished().now_or_never().is_none());
        go.send(()).unwrap();
        told.await.unwrap();
        kept.finished().await;
        assert!(kept.spawn(Holder::default(), async { Ok(1) }).unwrap().await.is_ok());
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let work = one().spawn::<(), _>(Holder::default(), async { panic!("x") }).unwrap();
        assert!(work.await.is_err_and(|error| error.code() == Code::Internal));
    }
}
