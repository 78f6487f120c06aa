"""OpenVINO: conversion, quantization, and running a file."""
