# The dashboard in a container, read-only unless asked otherwise: see docs/showing.md.
#
#     docker build -t language-subnetworks .
#     docker run --rm -p 127.0.0.1:8501:8501 language-subnetworks

FROM python:3.11-slim

# 1 adds torch and transformers, which discovering needs and looking does not.
ARG WITH_DISCOVERY=0
# Passed on to pip, such as the index of a CPU build of torch.
ARG PIP_OPTIONS=""

RUN useradd --create-home --uid 10001 dashboard
WORKDIR /srv/dashboard
COPY requirements.txt .
RUN if [ "$WITH_DISCOVERY" = 1 ]; then cp requirements.txt wanted.txt; \
    else grep -Ev '^(torch|transformers)==' requirements.txt > wanted.txt; fi \
    && pip install --no-cache-dir $PIP_OPTIONS -r wanted.txt
COPY app.py ./
COPY .streamlit .streamlit
COPY pages pages
COPY lsn_core lsn_core
COPY masks masks

USER dashboard
ENV LSN_READ_ONLY=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD \
    ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["python", "-m", "streamlit", "run", "app.py", "--server.port", "8501"]
