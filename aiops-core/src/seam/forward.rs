//! One list of methods per seam yields its forwarding by `Arc`, `Box` and layers.

/// Implements a seam for `Arc<T>`, `Box<T>` and [`Layered`](crate::layer::Layered).
///
/// A `repeatable` seam only reads, so any layer may stand around it. The calls of a `once` seam have effects or use
/// up a token, so only [`OnceLayer`](crate::layer::OnceLayer)s fit: a retry around it does not compile. `@get` methods
/// pass through; `reads` and `acts` say what a lost answer means.
macro_rules! forward_seam {
    ($mode:ident $seam:ident { $($methods:tt)* }) => {
        crate::seam::forward::forward_seam!(@pointer (std::sync::Arc<T>) $seam { $($methods)* });
        crate::seam::forward::forward_seam!(@pointer (Box<T>) $seam { $($methods)* });
        crate::seam::forward::forward_seam!(@$mode $seam { $($methods)* });
    };
    (@pointer ($pointer:ty) $seam:ident {
        $(@get $get:ident -> $got:ty;)*
        $($effect:ident $method:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*
    }) => {
        #[async_trait::async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: $seam + ?Sized> $seam for $pointer {
            $(fn $get(&self) -> $got {
                (**self).$get()
            })*
            $(async fn $method(&self, $($arg: $ty,)* ctx: &crate::Context) -> crate::Result<$out> {
                (**self).$method($($arg,)* ctx).await
            })*
        }
    };
    (@repeatable $seam:ident {
        $(@get $get:ident -> $got:ty;)*
        $($effect:ident $method:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*
    }) => {
        #[async_trait::async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<L: crate::layer::Layer, S: $seam> $seam for crate::layer::Layered<L, S> {
            $(fn $get(&self) -> $got {
                self.inner().$get()
            })*
            $(async fn $method(&self, $($arg: $ty,)* ctx: &crate::Context) -> crate::Result<$out> {
                let call = crate::layer::Call::$effect(concat!(stringify!($seam), "::", stringify!($method)));
                self.layer().around(call, ctx, &|| self.inner().$method($($arg,)* ctx)).await
            })*
        }
    };
    (@once $seam:ident {
        $(@get $get:ident -> $got:ty;)*
        $($effect:ident $method:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*
    }) => {
        #[async_trait::async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<L: crate::layer::OnceLayer, S: $seam> $seam for crate::layer::Layered<L, S> {
            $(fn $get(&self) -> $got {
                self.inner().$get()
            })*
            $(async fn $method(&self, $($arg: $ty,)* ctx: &crate::Context) -> crate::Result<$out> {
                let call = crate::layer::Call::$effect(concat!(stringify!($seam), "::", stringify!($method)));
                self.layer().around_once(call, ctx, self.inner().$method($($arg,)* ctx)).await
            })*
        }
    };
}
pub(crate) use forward_seam;
