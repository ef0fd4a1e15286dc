# docker build -t fakereal .
# docker run --rm -p 127.0.0.1:7860:7860 -v "$PWD/best.ckpt:/checkpoint.ckpt:ro" fakereal
FROM python:3.11-slim
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY conf conf
COPY fakereal fakereal
COPY hydra_plugins hydra_plugins
RUN pip install --no-cache-dir -c constraints.txt ".[app]"
RUN useradd --create-home fakereal
USER fakereal
WORKDIR /home/fakereal
EXPOSE 7860
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/checkpoints', timeout=5)"]
ENTRYPOINT ["python", "-m", "fakereal.app", "host=0.0.0.0", "ckpt_path=/checkpoint.ckpt"]
