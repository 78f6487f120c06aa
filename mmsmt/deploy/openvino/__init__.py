"""OpenVINO: conversion, quantization, and sessions."""
