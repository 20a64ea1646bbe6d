//! Memory of each service for a tenant in this process, kept here without knowledge of its type: a service defines its
//! own memory and how that begins, and finds it again by its type, from whichever clone of the context.

use super::Context;
use parking_lot::RwLock;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

/// A service's memory of one tenant.
pub(crate) trait Memory: Send + Sync + 'static {
    /// As a process begins with it.
    fn begin(context: &Context) -> Self;
}

/// Memories by their types.
#[derive(Default)]
pub(super) struct Memories(RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Memories {
    fn find<M: Memory>(&self) -> Option<Arc<M>> {
        let found = self.0.read().get(&TypeId::of::<M>()).cloned();
        found.and_then(|memory| memory.downcast().ok())
    }

    /// Keeps that one, unless another was faster.
    fn keep<M: Memory>(&self, begun: Arc<M>) -> Arc<M> {
        let mut memories = self.0.write();
        let kept = memories.entry(TypeId::of::<M>()).or_insert_with(|| begun.clone());
        Arc::clone(kept).downcast().unwrap_or(begun)
    }
}

impl Context {
    /// A service's memory; begun when it is first asked for. Its beginning may ask for another's.
    pub(crate) fn memory<M: Memory>(&self) -> Arc<M> {
        let memories = &self.0.memories;
        memories.find().unwrap_or_else(|| memories.keep(Arc::new(M::begin(self))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Count(AtomicU32);

    impl Memory for Count {
        fn begin(_: &Context) -> Self {
            Self(AtomicU32::new(7))
        }
    }

    #[tokio::test]
    async fn a_memory_is_one_for_all_clones_and_another_for_another_context() {
        let site = Site::in_memory().await;
        let (context, clone) = (site.core.context.clone(), site.core.context.clone());
        context.memory::<Count>().0.fetch_add(1, Ordering::SeqCst);
        assert_eq!(clone.memory::<Count>().0.load(Ordering::SeqCst), 8);
        assert_eq!(context.read_only().memory::<Count>().0.load(Ordering::SeqCst), 7);
    }
}
