"""Web page to try models in a browser: `mmsmt serve`."""
