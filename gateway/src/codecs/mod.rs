//! The protocols that the loop speaks: each turns bytes into command images and output images into bytes.

pub mod native;
