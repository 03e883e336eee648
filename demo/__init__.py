"""The demo: MobileNetV2 with torchvision's ImageNet weights tells what is on a photo."""
